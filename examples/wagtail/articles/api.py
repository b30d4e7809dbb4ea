from wagtail.api.v2.router import WagtailAPIRouter
from wagtail.api.v2.views import PagesAPIViewSet


class PagesAPI(PagesAPIViewSet):
    """Says the language of the page, where Django would repeat the browser's Accept-Language."""

    def detail_view(self, request, pk):
        response = super().detail_view(request, pk)
        response["Content-Language"] = self.get_object().locale.language_code
        return response


router = WagtailAPIRouter("wagtailapi")
router.register_endpoint("pages", PagesAPI)
