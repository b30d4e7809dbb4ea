"""Change an article and publish it, as an editor does: same code path, same signals."""
from django.core.management.base import BaseCommand

from articles.models import ArticlePage


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("locale", help="en, de, fr or pt-br")
        parser.add_argument("slug", help="the article, for example neue-bruecke")
        parser.add_argument("--title", help="publish it with this title")
        parser.add_argument("--slug", dest="new_slug", help="publish it under this slug")
        parser.add_argument("--draft", action="store_true", help="save only, do not publish")
        parser.add_argument("--unpublish", action="store_true")
        parser.add_argument("--delete", action="store_true")

    def handle(self, *args, **options):
        live = ArticlePage.objects.get(locale__language_code=options["locale"], slug=options["slug"])
        if options["unpublish"]:
            live.unpublish()
        elif options["delete"]:
            live.delete()
        else:
            page = live.get_latest_revision_as_object()
            page.title = options["title"] or page.title
            page.slug = options["new_slug"] or page.slug
            revision = page.save_revision()
            if not options["draft"]:
                revision.publish()
        self.stdout.write(f"done: id {live.pk}")
