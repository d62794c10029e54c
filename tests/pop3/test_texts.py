"""Every sentence that POP3 answers with has its translation (src/pop3/text.c)."""
import pathlib
import re
import sys

room = pathlib.Path(sys.argv[1])
have = set(re.findall(r'\{"([^"]+)",', (room / "text.c").read_text()))
missing = [
    (name, text)
    for name in ("login.c", "session.c")
    for text in re.findall(r'"[+-](?:OK|ERR) (?:\[[^\]]+\] ?)?([^"%]+)"',
                           re.sub(r'"\s*\n\s*"', "", (room / name).read_text()))
    if text.replace("\\r\\n", "") and text not in have
]
for name, text in missing:
    print(f"{name}: no translation of: {text}")
print(f"{len(have)} texts")
sys.exit(1 if missing or len(have) < 30 else 0)
