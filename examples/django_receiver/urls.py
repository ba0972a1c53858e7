from callbacks import views
from django.urls import path

urlpatterns = [path("after", views.after), path("before", views.before)]
