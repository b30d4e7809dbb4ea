"""Replace all content by one site with five articles in four languages, and the user editor/editor."""
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.db import transaction
from wagtail.models import Locale, Page, Site

from articles.models import ArticleIndexPage, ArticlePage

INDEX = {"en": "News", "de": "Nachrichten", "fr": "Actualités", "pt-br": "Notícias"}
# For every article, per language: slug, title, intro. The body repeats the intro.
ARTICLES = [
    {
        "en": ("new-bridge", "The new bridge is open", "Trams cross the river again."),
        "de": ("neue-bruecke", "Die neue Brücke ist offen", "Die Bahn fährt wieder über den Fluss."),
        "fr": ("nouveau-pont", "Le nouveau pont est ouvert", "Le tram traverse de nouveau le fleuve."),
        "pt-br": ("nova-ponte", "A nova ponte está aberta", "O bonde cruza o rio novamente."),
    },
    {
        "en": ("night-market", "Night market returns", "Forty stalls, every Friday."),
        "de": ("nachtmarkt", "Der Nachtmarkt kehrt zurück", "Vierzig Stände, jeden Freitag."),
        "fr": ("marche-nocturne", "Le marché nocturne revient", "Quarante étals, chaque vendredi."),
        "pt-br": ("feira-noturna", "A feira noturna voltou", "Quarenta barracas, toda sexta-feira."),
    },
    {
        "en": ("city-library", "Library opens on Sundays", "From ten to six, without a ticket."),
        "de": ("stadtbibliothek", "Bibliothek sonntags geöffnet", "Von zehn bis sechs, ohne Ausweis."),
        "fr": ("bibliotheque", "La bibliothèque ouvre le dimanche", "De dix à dix-huit heures, sans carte."),
        "pt-br": ("biblioteca", "Biblioteca abre aos domingos", "Das dez às dezoito, sem cartão."),
    },
    {
        "en": ("solar-roofs", "Solar roofs for every school", "The last of twelve is being built."),
        "de": ("solardaecher", "Solardächer für alle Schulen", "Das letzte von zwölf wird gebaut."),
        "fr": ("toits-solaires", "Des toits solaires pour les écoles", "Le dernier des douze est en chantier."),
        "pt-br": ("telhados-solares", "Telhados solares nas escolas", "O último dos doze está em obras."),
    },
    {
        "en": ("river-bath", "River bath passes its test", "Swimming is allowed from June."),
        "de": ("flussbad", "Flussbad besteht die Prüfung", "Ab Juni darf geschwommen werden."),
        "fr": ("baignade", "La baignade en rivière est validée", "On peut nager dès le mois de juin."),
        "pt-br": ("banho-de-rio", "Banho de rio aprovado no teste", "É permitido nadar a partir de junho."),
    },
]


class Command(BaseCommand):
    help = __doc__

    @transaction.atomic
    def handle(self, *args, **options):
        settings.WAGTAILFRONTENDCACHE = {}  # replaced content is not a publish: send no purges
        settings.WAGTAILREDIRECTS_AUTO_CREATE = False  # the English slugs of translations were never public
        root = Page.get_first_root_node()
        for page in root.get_children():
            page.delete()
        Site.objects.all().delete()
        root = Page.get_first_root_node()

        locales = {code: Locale.objects.get_or_create(language_code=code)[0] for code in INDEX}
        first = ArticleIndexPage(title=INDEX["en"], slug="home", locale=locales["en"])
        root.add_child(instance=first)
        first.save_revision().publish()
        Site.objects.create(
            hostname="127.0.0.1", port=8080, root_page=first, is_default_site=True, site_name="News"
        )

        for code in ("de", "fr", "pt-br"):
            index = first.copy_for_translation(locales[code])
            index.title, index.draft_title = INDEX[code], INDEX[code]
            index.save_revision().publish()
        for texts in ARTICLES:
            article = ArticlePage(locale=locales["en"], **fields(texts["en"]))
            first.add_child(instance=article)
            article.save_revision().publish()
            for code in ("de", "fr", "pt-br"):
                translation = article.copy_for_translation(locales[code])
                for name, value in fields(texts[code]).items():
                    setattr(translation, name, value)
                translation.save_revision().publish()

        users = get_user_model().objects
        users.filter(username="editor").delete()
        users.create_superuser("editor", "editor@example.org", "editor")
        self.stdout.write(f"{ArticlePage.objects.live().count()} articles, user editor/editor")


def fields(text):
    slug, title, intro = text
    return {"slug": slug, "title": title, "intro": intro, "body": f"<p>{intro}</p>"}
