"""The page /posters: a code for the wall that opens one form in a phone's browser.

A poster's key opens its form and nothing else, sends and cannot read or correct, gets no names, and
is worthless after its days; where a course is chosen, the form knows it already.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import quote, urlencode

from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from forms.problems import Problem
from forms.tables import Course
from forms.words import mark
from server.house import House, house_of, public_url
from server.pages.render import browser, page
from server.people.rights import Right, Visitor
from server.phones import qr
from server.phones.given import given_page, only_here, provinces_for, taking_back, whole
from server.phones.issue import Made, give
from server.times import utc_now
from server.web.finding import Found, listed

__all__ = ["routes"]

DAYS = 14
"""Days a poster is good for unless something else is chosen: a course and the time around it."""

TITLES = {
    ("test", "pre"): ("สแกนเพื่อเริ่มทำ|แบบทดสอบก่อนเรียน", "Scan to start the pre-test"),
    ("test", "post"): ("สแกนเพื่อเริ่มทำ|แบบทดสอบหลังเรียน", "Scan to start the post-test"),
    ("evaluation", None): ("สแกนเพื่อประเมินหลักสูตร", "Scan to evaluate the course"),
    ("registration", None): ("สแกนเพื่อลงทะเบียน", "Scan to register"),
}
"""What a poster calls out, in both languages, by what the form is for; the Thai breaks at `|`."""
OTHERS = ("สแกนเพื่อกรอกแบบ", "Scan to fill in the form")


def courses_for(house: House, visitor: Visitor) -> list[Course]:
    """The programme's courses in the visitor's provinces, in the order of their codes."""
    known = house.programme.courses if house.programme else ()
    return sorted(
        (course for course in known if visitor.sees_province(course.province)),
        key=lambda course: course.code,
    )


async def posters(request: Request) -> Response:
    """GET /posters: the links in use. POST: make one; its poster is shown this once."""
    house = house_of(request)
    visitor = await house.doorkeeper.page_visitor(request, Right.KEYS)
    if request.method != "POST":
        return await posters_page(request, visitor)
    fields = await house.doorkeeper.form(request)

    def make(connection: Connection) -> tuple[Made, Found, Course | None, int]:
        form = chosen(str(fields.get("form", "")), listed(connection, visitor, house))
        course = course_of(str(fields.get("course", "")), courses_for(house, visitor))
        days = whole(fields, "days") or DAYS
        provinces = [str(code) for code in fields.getlist("province") if code]
        if course and course.province in dict(provinces_for(house, visitor, "th")):
            provinces = [course.province]
        now = utc_now()
        label = " ".join((form.form_id, course.code if course else "", f"{now:%y%m%d-%H%M%S}"))
        (made,) = give(
            connection,
            visitor,
            [" ".join(label.split())[:80]],
            now=now,
            kind="link",
            forms=[form.form_id],
            provinces=provinces,
            days=days,
        )
        return made, form, course, days

    try:
        made, form, course, days = await house.inbox.run(make)
    except Problem as problem:
        return await posters_page(request, visitor, problem, fields)
    spec = house.programme.forms.get(form.form_id) if house.programme else None
    address = f"{public_url(request)}/key/{made.secret}/f/{quote(form.form_id, safe='')}"
    if course and spec and spec.course:
        address += "?" + urlencode({spec.course: course.code})
    thai, english = TITLES.get((spec.role, spec.wave), OTHERS) if spec else OTHERS
    title_th, _, title_en = form.title.partition(" | ")
    return page(
        request,
        "poster.html",
        link=address,
        picture=qr.png_address(address, scale=20),
        thai=thai.split("|"),
        english=english,
        title_th=title_th,
        title_en=title_en,
        course=course,
        until=utc_now() + timedelta(days=days),
        here_only=only_here(public_url(request)),
        number=made.number,
    )


def chosen(form_id: str, forms: Sequence[Found]) -> Found:
    """The open form that was chosen; raises `Problem` where it is none."""
    for form in forms:
        if form.form_id == form_id:
            return form
    raise Problem.at(form_id or "form", mark("is no open form"), mark("choose one of the list"))


def course_of(code: str, courses: Sequence[Course]) -> Course | None:
    """The course that was chosen, if one was; raises `Problem` for one of elsewhere."""
    if not code:
        return None
    for course in courses:
        if course.code == code:
            return course
    raise Problem.at(code, mark("is no course of your provinces"), mark("choose one of the list"))


async def posters_page(
    request: Request,
    visitor: Visitor,
    problem: Problem | None = None,
    filled: FormData | None = None,
) -> Response:
    """The links in use and the form to make one."""
    courses = courses_for(house_of(request), visitor)
    return await given_page(
        request, visitor, "posters.html", "link", problem, filled, courses=courses, days=DAYS
    )


def routes() -> list[Route]:
    """The addresses of posters; a poster's key is taken back as a phone's is."""
    return [Route("/posters", browser(posters), methods=["GET", "POST"]), taking_back("/posters")]
