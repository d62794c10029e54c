"""Every charset that mail comes in, every way it is written: what is found, sorted, threaded and shown.

One table of words, each in the charsets and forms mailers use for them; a message for each form. SEARCH is asked in
UTF-8, also in other case and width; SORT and THREAD must see through the form; PREVIEW must show it; ENVELOPE and
BODYSTRUCTURE must give the bytes as they are written, in literals where they are not ASCII (RFC 3501 4.3: CHAR8).
"""
import base64
import re
import sys
import urllib.parse

from harness import check, contains, equal, main

# text, charset for Python, label in the message
WORDS = [
    ("中文邮件测试", "gb2312", "gb2312"), ("镕基与喆㐂", "gb18030", "gb2312"), ("镕基与喆", "gb18030", "GBK"),
    ("國語測試", "big5", "Big5"), ("碁銹裏墻", "cp950", "big5"), ("𠮷野家三", "gb18030", "GB18030"),
    ("日本語のテスト", "iso2022_jp", "ISO-2022-JP"), ("①番ｶﾅ", "cp932", "Shift_JIS"), ("テスト送信", "shift_jis", "Shift_JIS"),
    ("日本語の本文", "euc_jp", "EUC-JP"), ("한국어 시험", "euc_kr", "EUC-KR"), ("똠방각하", "cp949", "ks_c_5601-1987"),
    ("Привет мир", "koi8_r", "KOI8-R"), ("Ёлка ещё", "cp1251", "windows-1251"), ("Ђорђе пише", "iso8859_5", "ISO-8859-5"),
    ("žluťoučký kůň", "cp1250", "windows-1250"), ("Größenänderung", "latin_1", "iso-8859-1"),
    ("“naïve” – €5", "cp1252", "iso-8859-1"), ("Ελληνικά νέα", "cp1253", "windows-1253"), ("İstanbul ığüş", "cp1254", "iso-8859-9"),
    ("שלום עולם", "cp1255", "windows-1255"), ("مرحبا بكم", "cp1256", "windows-1256"), ("ąčęėįšų", "cp1257", "windows-1257"),
    ("Việt Nam đẹp", "utf-8", "utf-8"), ("ภาษาไทย", "cp874", "tis-620"), ("höhe & länge", "utf-7", "utf-7"),
    ("中文和日本", "utf-7", "UNICODE-1-1-UTF-7"), ("emoji 😀 文", "utf-8", "UTF8"),
]


def b_word(raw, label):
    return b"=?" + label.encode() + b"?B?" + base64.b64encode(raw) + b"?="


def q_word(raw, label):
    return b"=?" + label.encode() + b"?Q?" + b"".join(
        b"_" if c == 32 else bytes([c]) if chr(c).isalnum() and c < 128 else b"=%02X" % c for c in raw) + b"?="


def split_bytes(raw, label):
    """One character in two words, each word as if it began anew."""
    at = len(raw) // 2 | 1
    return b_word(raw[:at], label) + b"\r\n " + b_word(raw[at:], label)


def with_blanks(word):
    head, text = word.split(b"?Q?")
    return head + b"?Q?" + text.replace(b"_", b" ")


def split_text(text, charset, label):
    """As it should be: words of whole characters."""
    at = len(text) // 2
    return b" ".join(b_word(t.encode(charset), label) for t in (text[:at], text[at:]))


FORMS = {
    "B": lambda t, c, n: b_word(t.encode(c), n),
    "Q": lambda t, c, n: q_word(t.encode(c), n),
    "lower case b": lambda t, c, n: b_word(t.encode(c), n).replace(b"?B?", b"?b?"),
    "language": lambda t, c, n: b_word(t.encode(c), n + "*zh"),
    "whole characters": split_text,
    "split character": lambda t, c, n: split_bytes(t.encode(c), n),
    "quoted": lambda t, c, n: b'"' + b_word(t.encode(c), n) + b'"',
    "adjacent": lambda t, c, n: b"x" + q_word(t.encode(c), n) + b"y",
    "cut": lambda t, c, n: b_word(t.encode(c), n)[:-2],
    "blanks within": lambda t, c, n: with_blanks(q_word(t.encode(c), n)),
}


def message(number, subject, sender, label, body, name_field=b""):
    """body: bytes, sent as base64. name_field: what stands behind Content-Disposition: attachment."""
    return (b"Message-ID: <m%d@charsets>\r\nSubject: %s\r\nFrom: %s <u%d@example.org>\r\n"
            b"Date: Mon, 05 Jan 2026 12:00:%02d +0000\r\nMIME-Version: 1.0\r\n"
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=\"%s\"\r\n"
            b"Content-Transfer-Encoding: base64\r\n\r\n%s\r\n--b\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Disposition: attachment%s\r\n\r\nx\r\n--b--\r\n" % (
                number, subject, sender, number, number % 60, label.encode(), base64.encodebytes(body).replace(b"\n", b"\r\n"),
                name_field))


def fresh(h, mailbox):
    t = h.imap("alice")
    t.command(f"DELETE {mailbox}")
    t.ok(f"CREATE {mailbox}")
    t.ok(f"SELECT {mailbox}")
    return t


def found(t, key, text, charset="UTF-8"):
    raw = text.encode() if isinstance(text, str) else text
    status, untagged = t.command(b"SEARCH CHARSET %s %s {%d+}\r\n%s" % (charset.encode(), key.encode(), len(raw), raw))
    check(status.startswith("OK"), key, text, status)
    return [int(n) for n in untagged[0][0].split()[2:]]


def literal_of(response, *, having):
    for p in response:
        if isinstance(p, bytes) and having in p:
            return True
    return any(isinstance(p, str) and having.decode("utf-8", "surrogateescape") in p for p in response)


def test_words(h):
    """Each charset in each form: subject, sender, body."""
    for k, (text, charset, label) in enumerate(WORDS):
        with fresh(h, "words") as t:
            raw = text.encode(charset)
            forms = list(FORMS.items())
            for i, (name, form) in enumerate(forms):
                written = form(text, charset, label)
                # The sender's name is the plain form, the file name too: their abuses have tests of their own.
                t.append(message(i, b"Re: " + written, written.replace(b'"', b""), label, raw + b"\r\n"), "words")
            t.append(message(99, b"other", b"other", "us-ascii", b"other\r\n"), "words")
            every = list(range(1, len(forms) + 1))
            what = f"{text} in {label}"
            got = found(t, "SUBJECT", text)
            missing = [forms[n - 1][0] for n in every if n not in got]
            equal(missing, [], f"SUBJECT {what}: not found in the forms")
            # behind a cut word stands an address: it is no word
            equal([n for n in every if n not in found(t, "FROM", text)], [every[-2]], f"FROM {what}")
            equal(found(t, "BODY", text), every, f"BODY {what}")
            equal(found(t, "TEXT", text), every, f"TEXT {what}")
            for other in (text.upper(), text.swapcase()):
                if other.lower() == text.lower() and "ı" not in text.lower() and "i̇" not in text.lower():
                    equal(found(t, "SUBJECT", other), every, f"SUBJECT {other}, another case of {what}")
            equal(found(t, "SUBJECT", text + "no"), [], what)
            previews = t.fetch("1:*", "PREVIEW")
            for n in every:
                shown = b"".join(p if isinstance(p, bytes) else p.encode("utf-8", "surrogateescape") for p in previews[n])
                contains(shown.decode().replace("\\", ""), text, f"PREVIEW of {what}")
            # "Re: " and the form are not seen by SORT and THREAD: but for what stands beside the word, all are one subject
            same = [n for n in every if forms[n - 1][0] not in ("quoted", "adjacent")]
            thread = t.ok("THREAD ORDEREDSUBJECT UTF-8 ALL")[0][0]
            one = next((g for g in re.findall(r"\((?:[^()]|\([^()]*\))*\)", thread) if re.search(rf"\b{same[0]}\b", g)), "")
            equal(sorted(int(x) for x in re.findall(r"\d+", one)), same, f"THREAD of {what}: {thread}")
            order = [int(x) for x in t.ok("SORT (SUBJECT) UTF-8 ALL")[0][0].split()[2:]]
            places = [order.index(n) for n in same]
            equal(max(places) - min(places), len(same) - 1, f"SORT keeps {what} together: {order}")
            # The raw words come back as they were written
            envelopes = t.fetch("1:*", "ENVELOPE")
            for n in every:
                written = forms[n - 1][1](text, charset, label).replace(b"\r\n", b"")
                escaped = written.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
                check(literal_of(envelopes[n], having=escaped) or literal_of(envelopes[n], having=written),
                      "ENVELOPE changes", written, envelopes[n])


RAW = [  # text, the charset of its bytes
    ("中文通知", "gb18030"), ("关于会议的通知，请准时", "gbk"), ("привет", "utf-8"), ("Grüße aus Köln", "latin_1"),
    ("señor Núñez está", "latin_1"), ("déjà vu à l’été", "cp1252"), ("Ærø på ås", "latin_1"), ("日本語です", "iso2022_jp"),
    ("ÄÖÜ und ÄÖ", "latin_1"), ("你好", "utf-8"), ("Çağrı é", "utf-8"),
]


def test_unlabelled(h):
    """Raw 8-bit text in header and body, nothing said of its charset."""
    with fresh(h, "raw") as t:
        for text, charset in RAW:
            raw = text.encode(charset)
            t.append(b"Subject: " + raw + b"\r\nFrom: \"" + raw.replace(b'"', b'\\"').replace(b"\\", b"\\\\") + b"\" <a@b>\r\n\r\n"
                     + raw + b"\r\n", "raw")
        for i, (text, charset) in enumerate(RAW):
            keys = ("SUBJECT", "BODY", "TEXT") if charset == "iso2022_jp" else ("SUBJECT", "FROM", "BODY", "TEXT")
            for key in keys:
                equal(found(t, key, text), [i + 1], f"{key} {text} as raw {charset}")
            preview = t.fetch(i + 1, "PREVIEW")[i + 1]
            shown = "".join(p if isinstance(p, str) else p.decode() for p in preview)
            contains(shown, text, "PREVIEW")
            envelope = t.fetch(i + 1, "ENVELOPE")[i + 1]
            raw = text.encode(charset)
            check(raw in [p for p in envelope if isinstance(p, bytes)], "raw bytes go in a literal:", envelope)
            for piece in envelope:
                if isinstance(piece, str):
                    check(piece.isascii(), "8 bits outside of a literal:", piece)


def test_folding(h):
    """i;unicode-casemap (RFC 5051): case, width, composed and decomposed are one; kana and accents are not."""
    pairs = [("ＡＢＣ", "abc", True), ("abc", "ＡＢＣ", True), ("ｶﾞｷﾞ", "ガギ", True), ("ひらがな", "ヒラガナ", False),
             ("Straße", "STRASSE", False), ("ﬁne", "FINE", True), ("É", "e\u0301", True), ("é", "x", False), ("Ω", "Ω", True),
             ("ПРИВЕТ", "привет", True), ("①", "1", True), ("㎏", "KG", True), ("중", "즁", False), ("ς", "Σ", True)]
    with fresh(h, "folding") as t:
        for n, (have, ask, same) in enumerate(pairs, 1):
            t.append(b"Subject: [%d] <%s>\r\n\r\n<%s>\r\n" % (n, b_word(have.encode(), "utf-8"), have.encode()), "folding")
            got = n in found(t, "BODY", "<" + ask + ">"), n in found(t, "SUBJECT", "<" + ask + ">")
            equal(got, (same, same), f"{ask} in {have}")


NAMES = [  # the parameter as written behind "attachment", the name
    (b"; filename*=utf-8''%E4%B8%AD%E6%96%87.txt", "中文.txt"),
    (b"; filename*=gb2312'zh'%D6%D0%CE%C4%81%40.doc", "中文丂.doc"),
    (b"; filename*0*=iso-2022-jp'ja'%1B$B%46%7C;\r\n filename*1*=%4B%5C%1B(B.txt", "日本.txt"),
    (b"; filename*1=\" plain.txt\";\r\n filename*0*=utf-8''%C3%B6", "ö plain.txt"),
    (b"; filename*2*=%C3%A4; filename*0*=utf-8''a; filename*1=b", "abä"),
    (b"; filename*0*=utf-8''x%E4%BD; filename*1*=%A0y", "x你y"),
    (b"; filename*0*=utf-8''first; filename*2*=gone", "first"),
    (b"; filename*=''%E4%BD%A0%E5%A5%BD", "你好"),
    (b"; filename*=%E4%BD%A0%E5%A4%A7", "你大"),
    (b"; filename=\"=?gb2312?B?1tDOxA==?=.zip\"", "中文.zip"),
    (b"; filename==?utf-8?Q?=C3=A9t=C3=A9?=.pdf", "été.pdf"),
    (b"; filename=\"=?utf-8?B?" + base64.b64encode("长长的".encode()) + b"?=\r\n =?utf-8?B?" + base64.b64encode("名字".encode()) + b"?=\"",
     "长长的名字"),
    (b"; filename=\"\xd6\xd0\xce\xc4\xb8\xbd\xbc\xfe.rar\"", "中文附件.rar"),
    (b"; filename=\"\xe6\x96\x87\xe6\xa1\xa3.txt\"", "文档.txt"),
    (b"; filename=\"fallback.txt\"; filename*=utf-8''real%C3%A9.txt", "realé.txt"),
]


def test_names(h):
    """Attachments' names (RFC 2231, and RFC 2047 where it should not be) are found; BODYSTRUCTURE has them as written."""
    with fresh(h, "names") as t:
        for i, (field, _) in enumerate(NAMES):
            t.append(message(i, b"s", b"f", "us-ascii", b"b\r\n", field), "names")
        for n, (field, name) in enumerate(NAMES, 1):
            for key in ("BODY", "TEXT"):
                check(n in found(t, key, name), key, name, "of", field, found(t, key, name))
            got = t.fetch(n, "BODYSTRUCTURE")[n]
            for piece in got:
                check(isinstance(piece, bytes) or piece.isascii(), "8 bits outside of a literal:", piece)
            value = re.search(rb'(?s)\*?="?([^";\r\n]+)', field).group(1)
            check(literal_of(got, having=value), "BODYSTRUCTURE changes", value, got)


def test_folder_names(h):
    """Modified UTF-7 for everybody, UTF-8 after ENABLE: the same folders."""
    names = ["台北", "日本語/テスト", "Ärger & Co", "&", "a&b", "😀", "Отправленные"]
    with h.imap("alice") as t, h.imap("alice") as u:
        u.ok("ENABLE IMAP4rev2")
        for name in names:
            wire = "/".join(utf7(p) for p in name.split("/"))
            t.ok(f'CREATE "{wire}"')
            check(any(text(r).endswith(f'"{wire}"') or text(r).endswith(f" {wire}") for r in t.ok('LIST "" *')), name)
            check(any(text(r).endswith(f'"{name}"') or text(r).endswith(f" {name}") for r in u.ok('LIST "" *')), name)
            u.ok(f'STATUS "{name}" (MESSAGES)')
            u.ok(f'DELETE "{name}"')
        for bad in ("&", "&Jjo", "&Jjo!", "a&AGE-", "&2AA-", "&Jjo-&Jjo-", "&=-", "\\\\&-&", "&AAA-"):
            status, _ = t.command(f'CREATE "{bad}"')
            check(status.split()[0] in ("NO", "BAD"), f"CREATE {bad!r}: {status}")
        equal(t.command("NOOP")[0].split()[0], "OK")


def text(response):
    return "".join(p if isinstance(p, str) else p.decode("utf-8", "surrogateescape") for p in response)


def utf7(name):
    out, run = "", ""
    for c in name + "\0":
        if c > "~":
            run += c
            continue
        if run:
            out += "&" + base64.b64encode(run.encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"
            run = ""
        out += "" if c == "\0" else "&-" if c == "&" else c
    return out


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
