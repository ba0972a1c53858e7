"""Maps the folders at the top of the checkout to the one package that is installed: `im_callback`."""

from setuptools import find_packages, setup

FOLDERS = ("schemas", "provider_mock", "conformance")
# `provider-mock demo` runs the example's receivers, also where nothing but the wheel is installed.
DEMO = "im_callback.provider_mock.demo_receivers"

setup(
    packages=[
        *(f"im_callback.{name}" for folder in FOLDERS for name in find_packages(include=[folder, f"{folder}.*"])),
        "im_callback.provider_mock.delivery.ledger.migrations.versions",
        DEMO,
    ],
    package_dir={**{f"im_callback.{folder}": folder for folder in FOLDERS}, DEMO: "examples/flask_receiver"},
    package_data={
        "im_callback.schemas": ["*.json", "*/*.json", "README.md", "py.typed"],
        "im_callback.provider_mock": [
            *("**/*.json", "**/*.css", "**/*.html"),
            *("**/*.js", "server/console/static/*.svg", "server/console/static/*-LICENSE.txt", "py.typed"),
        ],
        "im_callback.conformance": [
            "**/*.json",
            "**/*.html",
            "**/*.css",
            "**/*.js",
            "explain/remedies/*.md",
            "py.typed",
        ],
    },
    include_package_data=False,
)
