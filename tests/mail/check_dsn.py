"""Reads the reports that dsn_samples writes (argv[1]) with another implementation of MIME: no defect may be
found, and every field must say what it should."""
import email
import email.policy
import re
import subprocess
import sys

KINDS = {b"failed", b"delayed", b"delivered", b"relayed", b"expanded"}


def check(raw):
    for line in raw.split(b"\r\n"):
        assert len(line) <= 998 and b"\n" not in line and b"\r" not in line and b"\0" not in line, line
    message = email.message_from_bytes(raw, policy=email.policy.default)
    for part in message.walk():
        # a header that is returned may be as broken as it came
        if part is not message.get_payload(2) and part not in message.get_payload(2).walk():
            assert not part.defects, (part.defects, part.get_content_type())
            for name, value in part.items():
                utf8 = name == "To" and not value.isascii()  # which this reader takes for a defect
                assert utf8 or not getattr(value, "defects", None), (name, value, value.defects)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message["auto-submitted"] == "auto-replied" and message["mime-version"] == "1.0"
    assert message["from"].addresses[0].addr_spec == "MAILER-DAEMON@mail.example.org"
    assert message["bcc"] is None
    parts = message.get_payload()
    assert len(parts) == 3, len(parts)
    text = parts[0].get_content()
    assert "automatic message" in text and "自动发送" in text and "{" not in text
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", text.replace("\r\n", "\n"))
    assert parts[1].get_content_type() in ("message/delivery-status", "message/global-delivery-status")
    status = (b"\r\n" + raw.split(b"delivery-status\r\n", 1)[1]).split(b"\r\n\r\n", 1)[1]
    status = status.split(b"\r\n\r\n--=_", 1)[0].split(b"\r\n\r\n")
    if parts[1].get_content_type() == "message/delivery-status":
        assert len([group for group in parts[1].get_payload() if group.keys()]) == len(status), status
        assert all(byte < 128 for byte in b"".join(status))
    groups = [email.message_from_bytes(group, policy=email.policy.compat32) for group in status]
    assert groups[0]["Reporting-MTA"] == "dns; mail.example.org"
    for group in groups[1:]:
        assert not group.defects
        assert group["Action"].encode() in KINDS and len(group.get_all("Action")) == 1
        assert re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", group["Status"]) and len(group.get_all("Status")) == 1
        assert (group["Will-Retry-Until"] is not None) == (group["Action"] == "delayed")
        assert str(group["Final-Recipient"]).split(";")[0] in ("rfc822", "utf-8")
    assert parts[2].get_content_type() in (
        "text/rfc822-headers", "message/global-headers", "message/rfc822", "message/global")
    return len(groups) - 1


def main():
    out = subprocess.run([sys.argv[1]], stdout=subprocess.PIPE, check=True).stdout
    count = recipients = 0
    while out:
        length, out = out.split(b"\n", 1)
        try:
            recipients += check(out[:int(length)])
        except AssertionError:
            sys.stdout.buffer.write(out[:int(length)])
            raise
        out = out[int(length):]
        count += 1
    assert count == 256 and recipients > count, (count, recipients)
    print(f"{count} reports about {recipients} recipients")


main()
