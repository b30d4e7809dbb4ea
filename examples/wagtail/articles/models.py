from django.db import models
from wagtail.admin.panels import FieldPanel
from wagtail.api import APIField
from wagtail.fields import RichTextField
from wagtail.models import Page


class ArticleIndexPage(Page):
    """The root page of a language: it lists the articles below it."""

    parent_page_types = ["wagtailcore.Page"]
    subpage_types = ["articles.ArticlePage"]

    def get_context(self, request):
        articles = ArticlePage.objects.child_of(self).live().public()
        return super().get_context(request) | {"articles": articles}


class ArticlePage(Page):
    parent_page_types = ["articles.ArticleIndexPage"]
    subpage_types = []

    intro = models.CharField(max_length=250)
    body = RichTextField()

    content_panels = Page.content_panels + [FieldPanel("intro"), FieldPanel("body")]
    api_fields = [APIField("intro"), APIField("body")]
