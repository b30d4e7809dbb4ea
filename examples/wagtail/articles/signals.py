"""Purge what shows a page besides its own URL: its index, its translations and the API."""
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.urls import reverse
from wagtail.contrib.frontend_cache.utils import PurgeBatch
from wagtail.models import PageViewRestriction
from wagtail.signals import page_published, page_slug_changed, page_unpublished, post_page_move


def purge(*pages):
    batch = PurgeBatch()
    for page in pages:
        batch.add_pages(filter(None, [page, page.get_parent(), *page.get_translations().live()]))
        parts = page.get_url_parts()
        if parts is not None:  # parts[1] is scheme, host and port of the page's Site
            batch.add_url(parts[1] + reverse("wagtailapi:pages:detail", args=[page.pk]))
            batch.add_url(parts[1] + reverse("wagtailapi:pages:listing"))
    # A delete is signalled before it is committed: purge when the database shows the new state.
    transaction.on_commit(batch.purge)


@receiver([page_published, page_unpublished])  # a delete of a live page unpublishes it first
def content_changed(instance, **kwargs):
    purge(instance)


@receiver(page_slug_changed)
def address_changed(instance, **kwargs):
    purge(*instance.get_descendants().live())


@receiver(post_page_move)
def page_moved(instance, parent_page_before, **kwargs):
    purge(*instance.get_descendants(inclusive=True).live(), parent_page_before)


@receiver([post_save, post_delete], sender=PageViewRestriction)  # made private, or public again
def privacy_changed(instance, **kwargs):
    purge(*instance.page.get_descendants(inclusive=True).live())
