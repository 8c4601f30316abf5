"""A form with every XLSForm question type and appearance, as a table that can be read in review.

Columns of the survey: type, name, label in Thai, label in English (nothing where the translation
is missing), appearance; what else a question has stands in `MORE`.
https://xlsform.org/en/ , https://docs.getodk.org/form-question-types/
"""

from __future__ import annotations

from typing import Any

from office import workbook

__all__ = ["FORM_ID", "PLACES", "every_question"]

FORM_ID = "every_question"

PLACES = (
    "name,label,province\n" + "".join(f"p{n},ตำบลที่ {n},{n % 3}\n" for n in range(1, 61))
).encode()
"""places.csv: sixty rows, more than are read at one glance."""

SURVEY = """
start                  | start     |                      |
end                    | end       |                      |
today                  | today     |                      |
deviceid               | deviceid  |                      |
username               | username  |                      |
phonenumber            | phone     |                      |
audit                  | audit     |                      |
note                   | hello     | **สวัสดี** <b>ค่ะ</b>   | **Hello**
text                   | who       | ชื่อ                   | Name
text                   | story     | เล่า                  | Tell               | multiline
text                   | code      | รหัส 4 หลัก            | 4-digit code       | numbers
text                   | site      | เว็บไซต์               | Web site           | url
text                   | secret    | ความลับ               | Secret             | masked
text                   | bare      | ไม่มีคำแปล             |
integer                | age       | อายุ                  | Age
integer                | rice      | ข้าว (กก.)            | Rice (kg)          | thousands-sep
decimal                | area      | พื้นที่ (ไร่)             | Area (rai)
date                   | plain     | วันที่                  | Date
date                   | born      | วันเกิด                | Born               | buddhist
date                   | since     | ตั้งแต่เดือน             | Since month        | month-year
date                   | grad      | ปีที่จบ                 | Year finished      | year
date                   | typed     | วันที่ (พิมพ์)            | Date (typed)       | no-calendar
time                   | at        | เวลา                 | Time
dateTime               | when      | วันและเวลา            | Date and time
select_one yn          | plainlist | ตกลงไหม              | Agree?
select_one yn          | quick     | เร็ว                  | Quick              | quick
select_one likert      | liking    | พอใจเพียงใด           | How satisfied      | likert
select_one fruit       | cols      | ผลไม้ (คอลัมน์)         | Fruit (columns)    | columns
select_one fruit       | cols2     | ผลไม้ (2 คอลัมน์)       | Fruit (2)          | columns-2
select_one fruit       | pack      | ผลไม้ (เรียงชิด)        | Fruit (packed)     | columns-pack
select_one fruit       | across    | ผลไม้ (แนวนอน)        | Fruit (across)     | horizontal-compact
select_one fruit       | drop      | ผลไม้ (ย่อ)            | Fruit (minimal)    | minimal
select_one fruit       | found     | ผลไม้ (ค้น)            | Fruit (searched)   | autocomplete
select_one fruit       | mapped    | ผลไม้ (ภาพ)           | Fruit (image map)  | image-map
select_multiple fruit  | many      | ผลไม้หลายอย่าง         | Several fruits
select_multiple fruit  | packed    | หลายอย่าง (ย่อ)        | Several (minimal)  | minimal
select_one fruit or_other | other     | อื่น ๆ                 | Or other
select_one_from_file places.csv | place     | ตำบล                 | Subdistrict        | minimal autocomplete
rank fruit             | ranked    | เรียงลำดับ             | Rank
range                  | scale     | ระดับ                 | Scale
range                  | stars     | ดาว                  | Stars              | rating
range                  | picked    | เลือกจำนวน            | Pick a number      | picker
acknowledge            | agree     | ข้าพเจ้ารับทราบ         | I understand
barcode                | badge     | สแกนป้าย              | Scan the badge
image                  | photo     | ภาพถ่าย               | Photo
image                  | sign      | ลายมือชื่อ              | Signature          | signature
image                  | sketch    | ภาพวาด               | Drawing            | draw
image                  | marked    | เขียนบนภาพ            | Annotate           | annotate
audio                  | sound     | เสียง                 | Sound
video                  | film      | วิดีโอ                 | Film
file                   | paper     | ไฟล์                  | File
geopoint               | here      | ตำแหน่ง               | Place
geotrace               | path      | เส้นทาง               | Path
geoshape               | field     | แปลง                 | Field
calculate              | twice     |                      |
note                   | said      | สองเท่าคือ ${twice}    | Twice is ${twice}
text                   | fixed     | อ่านอย่างเดียว          | Read only
hidden                 | unseen    |                      |
begin_group            | page      | หน้าเดียว              | One page           | field-list
text                   | left      | ซ้าย                  | Left
select_one yn          | more      | มีอีกไหม               | More?
text                   | right     | ขวา                  | Right
begin_group            | inner     | กลุ่มใน                | Inner group
integer                | deep      | ลึก                   | Deep
end_group              |           |                      |
end_group              |           |                      |
begin_group            | table     | ตาราง                | Table              | table-list
select_one yn          | row1      | แถวที่ 1               | Row 1
select_one yn          | row2      | แถวที่ 2               | Row 2
end_group              |           |                      |
begin_repeat           | child     | บุตร                  | Child
text                   | name      | ชื่อบุตร                | Child's name
integer                | years     | อายุบุตร               | Child's age
end_repeat             |           |                      |
integer                | plots     | มีกี่แปลง               | How many plots
begin_repeat           | plot      | แปลง                 | Plot               | field-list
text                   | crop      | พืช                   | Crop
end_repeat             |           |                      |
text                   | last      | ข้อสุดท้าย              | The last
"""

MORE: dict[str, dict[str, str]] = {
    "who": {
        "required": "yes",
        "required_message::ไทย (th)": "กรุณาใส่ชื่อ",
        "required_message::English (en)": "Please enter the name",
        "hint::ไทย (th)": "ตามบัตร",
        "hint::English (en)": "as on the card",
        "guidance_hint::ไทย (th)": "ถามอย่างสุภาพ",
        "guidance_hint::English (en)": "ask politely",
    },
    "code": {
        "constraint": "regex(., '^[0-9]{4}$')",
        "constraint_message::ไทย (th)": "ต้องมี 4 หลัก",
        "constraint_message::English (en)": "4 digits, please",
    },
    "age": {
        "constraint": ". >= 0 and . < 120",
    },
    "born": {
        "constraint": ". <= today()",
        "constraint_message::ไทย (th)": "ยังไม่ถึงวันนั้น",
        "constraint_message::English (en)": "in the future",
    },
    "scale": {
        "parameters": "start=0 end=10 step=1",
    },
    "stars": {
        "parameters": "start=1 end=5 step=1",
    },
    "picked": {
        "parameters": "start=1 end=20 step=1",
    },
    "photo": {
        "parameters": "max-pixels=640",
    },
    "twice": {
        "calculation": "${age} * 2",
    },
    "fixed": {
        "readonly": "yes",
        "default": "คงที่",
    },
    "more": {
        "required": "yes",
    },
    "right": {
        "relevant": "${more} = 'y'",
    },
    "plot": {
        "repeat_count": "${plots}",
    },
}
"""Further columns of questions, by the question's name."""

CHOICES = (
    ("list_name", "name", "label::ไทย (th)", "label::English (en)"),
    ("yn", "y", "ใช่", "Yes"),
    ("yn", "n", "ไม่ใช่", "No"),
    ("likert", "5", "มากที่สุด", "Very much"),
    ("likert", "4", "มาก", "Much"),
    ("likert", "3", "ปานกลาง", "Fair"),
    ("likert", "2", "น้อย", "Little"),
    ("likert", "1", "น้อยที่สุด", "Very little"),
    ("fruit", "mango", "มะม่วง", "Mango"),
    ("fruit", "banana", "กล้วย", "Banana"),
    ("fruit", "longan", "ลำไย", None),
)
SETTINGS = (
    ("form_title", "form_id", "version", "default_language", "instance_name"),
    ("ทุกแบบคำถาม | Every question", FORM_ID, "2564010101", "ไทย (th)", "concat('คน ', ${who})"),
)
COLUMNS = ("type", "name", "label::ไทย (th)", "label::English (en)", "appearance")


def survey() -> list[tuple[Any, ...]]:
    """The rows of the survey sheet, headings first."""
    further = list(dict.fromkeys(column for one in MORE.values() for column in one))
    rows: list[tuple[Any, ...]] = [(*COLUMNS, *further)]
    for line in SURVEY.strip().splitlines():
        cells = [cell.strip() or None for cell in line.split("|")]
        cells += [None] * (len(COLUMNS) - len(cells))
        more = MORE.get(cells[1] or "", {})
        rows.append((*cells, *(more.get(column) for column in further)))
    return rows


def every_question() -> bytes:
    """The form as the bytes of an .xlsx; places.csv belongs to it."""
    return workbook(survey=survey(), choices=CHOICES, settings=SETTINGS)
