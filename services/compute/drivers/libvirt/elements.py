"""XML, made of elements and read without following anything that it refers to."""

from __future__ import annotations

import re

from lxml import etree

Element = etree._Element

LONGEST_TEXT = 255
# Characters outside XML 1.0's "Char" production
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def add(parent: Element, tag: str, text: str | None = None, **attributes: str) -> Element:
    child = etree.SubElement(parent, tag, attributes)
    child.text = text
    return child


def parse(xml: str) -> Element:
    return etree.fromstring(xml.encode(), etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False))


def xml_text(text: str) -> str:
    """`text` with what XML can't hold replaced, at a length that libvirt takes."""
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text[:LONGEST_TEXT])
