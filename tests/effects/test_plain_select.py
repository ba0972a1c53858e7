"""Which queries can be asked to go on from a row, and what is then asked."""

from __future__ import annotations

import pytest
from im_callback.conformance.effects.plain_select import plain

SINCE = "SINCE"


@pytest.mark.parametrize(
    ("expected", "called", "query"),
    [
        ("SELECT * FROM t WHERE SINCE", "t", "SELECT * FROM t"),
        ("select a from t WHERE SINCE order by b", "t", " select a from t order by b ; "),
        (
            "SELECT a FROM t WHERE (x = 1 OR y = 2) AND SINCE ORDER BY b",
            "t",
            "SELECT a FROM t WHERE x = 1 OR y = 2 ORDER BY b",
        ),
        ("SELECT a FROM s.t m WHERE (a = 1) AND SINCE", "m", "SELECT a FROM s.t m WHERE a = 1"),
        ('SELECT "a" FROM "s"."t" AS "m" WHERE SINCE', '"m"', 'SELECT "a" FROM "s"."t" AS "m"'),
        ("SELECT `a` FROM `t` WHERE SINCE", "`t`", "SELECT `a` FROM `t`"),
        ("SELECT ' from x where ', a FROM t WHERE SINCE", "t", "SELECT ' from x where ', a FROM t"),
        (
            "SELECT json_extract(a, '$.x') AS x, b::text FROM t WHERE SINCE",
            "t",
            "SELECT json_extract(a, '$.x') AS x, b::text FROM t",
        ),
        ("SELECT extract(epoch FROM a) FROM t WHERE SINCE", "t", "SELECT extract(epoch FROM a) FROM t"),
        ("SELECT a->>'k' FROM t WHERE (a IN (1, 2)) AND SINCE", "t", "SELECT a->>'k' FROM t WHERE a IN (1, 2)"),
        ("SELECT a FROM t WHERE (b LIKE '%order by%') AND SINCE", "t", "SELECT a FROM t WHERE b LIKE '%order by%'"),
    ],
)
def test_plain(expected: str, called: str, query: str) -> None:
    """One table, conditions, an order: the condition goes where it belongs, and the rest stays as it was typed."""
    found = plain(query)
    assert found is not None
    assert called == found.called
    assert expected.split() == found.since(SINCE).split()


@pytest.mark.parametrize(
    "query",
    [
        "",
        "INSERT INTO t VALUES (1)",
        "SELECT 1",
        "SELECT a FROM t, u",
        "SELECT a FROM t JOIN u ON t.x = u.x",
        "SELECT a FROM (SELECT a FROM t)",
        "SELECT (SELECT max(b) FROM u) FROM t",
        "SELECT DISTINCT a FROM t",
        "SELECT a, count(*) FROM t GROUP BY a",
        "SELECT max(a) FROM t",
        "SELECT mine(a) FROM t",
        "SELECT row_number() OVER (ORDER BY a) FROM t",
        "SELECT a FROM t ORDER BY b LIMIT 100",
        "SELECT a FROM t UNION SELECT a FROM u",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "SELECT a FROM t -- ORDER BY b",
        "SELECT a FROM t /* x */",
        "SELECT a FROM t # x",
        r"SELECT 'it\'s' FROM t WHERE a = '",
        "SELECT $$x$$ FROM t",
        "SELECT a FROM t; SELECT b FROM u",
        "SELECT a FROM t FOR UPDATE",
        "SELECT a FROM f(1)",
        "SELECT a FROM t WHERE (a = 1",
        "TABLE t",
    ],
)
def test_not_plain(query: str) -> None:
    """What may take rows together, or is read differently by databases, is left as it is."""
    assert plain(query) is None
