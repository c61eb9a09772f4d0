#!/usr/bin/env python3
"""A browser that needs nobody in front of it: `browser.py URL`, as a program would open a person's own.

It follows redirects, presses the first button of every form that it meets (Allow, on a page that asks for consent), and
ends on the first page without one: the client's. Cookies live in $BROWSER_PROFILE, and so does a note of every opening.
$BROWSER_FIELDS is a JSON object of what its person types, by the name of the field; other fields keep what is in them.
Like the browsers that people use, it holds forms to the page's Content-Security-Policy on every redirect that follows.
"""

import html.parser
import http.cookiejar
import json
import os
import pathlib
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

MOST_STEPS = 25
PATIENCE = 20
LARGEST_PAGE = 1 << 20
TYPED = json.loads(os.environ.get("BROWSER_FIELDS", "{}"))


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Browser:
    def __init__(self, profile):
        self.jar = http.cookiejar.MozillaCookieJar(profile / "cookies")
        if (profile / "cookies").is_file():
            self.jar.load(ignore_discard=True)
        cookies = urllib.request.HTTPCookieProcessor(self.jar)
        # No proxy: everything is on this machine.
        self.http = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirects(), cookies)

    def open(self, url):
        """Goes on from `url` until there is nothing left to press; answers the last page's URL."""
        form, policy = None, None
        for _ in range(MOST_STEPS):
            if policy and not policy.allows(url):
                raise SystemExit(f"the page at {policy.page} lets its form lead only to {policy.sources}, not to {url}")
            status, headers, body = self.fetch(url, form)
            if 300 <= status < 400:
                url, form = urllib.parse.urljoin(url, headers["Location"]), None
                continue
            if status >= 400:
                raise SystemExit(f"{url} answered {status}:\n{as_text(body)}")
            pressed = Form.first_in(body) if "text/html" in headers.get("Content-Type", "") else None
            if pressed is None:
                return url
            policy = FormPolicy(url, headers.get("Content-Security-Policy", ""))
            url, form = urllib.parse.urljoin(url, pressed.action), (url, pressed)
        raise SystemExit(f"no end after {MOST_STEPS} steps; the last was {url}")

    def fetch(self, url, form):
        request = urllib.request.Request(url, headers={"Accept": "text/html, */*", "User-Agent": "interop-browser"})
        if form:
            page, pressed = form
            request.data = urllib.parse.urlencode(pressed.fields).encode()
            request.add_header("Origin", origin(page))
            request.add_header("Sec-Fetch-Site", "same-origin" if origin(page) == origin(url) else "cross-site")
        try:
            with self.http.open(request, timeout=PATIENCE) as answer:
                return answer.status, answer.headers, answer.read(LARGEST_PAGE).decode(errors="replace")
        except urllib.error.HTTPError as answer:  # redirects too, since none is followed
            return answer.code, answer.headers, answer.read(LARGEST_PAGE).decode(errors="replace")

    def close(self):
        self.jar.save(ignore_discard=True)


class Form(html.parser.HTMLParser):
    """The first form of a page, and what pressing its first button sends; none, if there is nothing to press."""

    def __init__(self):
        super().__init__()
        self.action, self.fields, self.inside, self.pressed = None, [], False, False

    @classmethod
    def first_in(cls, page):
        form = cls()
        form.feed(page)
        return form if form.action is not None and form.pressed else None

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form" and self.action is None:
            self.action, self.inside = attributes.get("action", ""), True
        elif self.inside and tag == "input" and "name" in attributes:
            name, hidden = attributes["name"], attributes.get("type") == "hidden"
            value = attributes.get("value", "")
            self.fields.append((name, value if hidden else TYPED.get(name, value)))
        elif self.inside and tag == "button" and not self.pressed:
            self.pressed = True
            if "name" in attributes:
                self.fields.append((attributes["name"], attributes.get("value", "")))

    def handle_endtag(self, tag):
        if tag == "form":
            self.inside = False


class FormPolicy:
    """`form-action` of Content Security Policy, as far as origins and schemes go."""

    def __init__(self, page, header):
        found = re.search(r"form-action ([^;]*)", header)
        self.page, self.sources = page, found.group(1).split() if found else None

    def allows(self, url):
        if self.sources is None:
            return True
        allowed = {origin(self.page) if source == "'self'" else source for source in self.sources}
        return bool({origin(url), f"{urllib.parse.urlsplit(url).scheme}:"} & allowed)


def origin(url):
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def as_text(page):
    words = re.sub(r"<style.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", words).strip()[:2000]


def main():
    profile = pathlib.Path(os.environ["BROWSER_PROFILE"])
    with (profile / "opened").open("a") as opened:
        print(sys.argv[1], file=opened)
    browser = Browser(profile)
    try:
        browser.open(sys.argv[1])
    finally:
        browser.close()


if __name__ == "__main__":
    main()
