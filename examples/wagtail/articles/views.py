from django.http import HttpResponse
from django.shortcuts import render


def contact(request):
    """A page with a form: it sends a csrftoken cookie, so no shared cache may keep it."""
    if request.method == "POST":
        return HttpResponse("Thank you.", content_type="text/plain")
    return render(request, "articles/contact.html")
