"""No password in any text, wherever it stands and however it is spelt."""

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vad.inputs.redaction import printable, redact

MARK = "S3cr3T"
anything = st.text(st.characters(exclude_categories=["Cs", "Zs", "Zl", "Zp", "Cc"]), max_size=8)
# quoted as libraries do, with text on both sides
MESSAGES = [
    "{}",
    "[Errno 1094995529] Invalid data found when processing input: '{}'",
    "[Errno 1] Server returned 404 Not Found: '{}'; last error log: [rtsp] {} failed",
    'opening "{}": refused\n({})',
    "http://proxy.example:3128/?url={}",
]


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize(
    "spelling", [str, quote, lambda text: quote(text, safe=""), lambda t: quote(quote(t))]
)
@given(anything, anything, anything, st.sampled_from(["rtsp://", "https://", ""]))
@example("user", "a/b?c#d@e:", "@", "rtsp://")
@example("", "12/", "", "rtsp://")
@example("user", "://", "://", "rtsp://")
@example("user", "%40", "%2540", "rtsp://")
@example("user", "'", '"', "")
def test_passwords_of_any_characters_go(message, spelling, user, before, after, scheme):
    address = f"{scheme}{user}:{before}{MARK}{after}@10.0.0.7:554/live"
    text = redact(message.replace("{}", spelling(address)))
    if scheme or spelling is str:  # an encoded text without a scheme is no address
        assert MARK not in text
        assert "10.0.0.7" in text


@given(anything, anything, st.sampled_from(["rtsp://", "https://"]))
def test_encoded_passwords_go(before, after, scheme):
    address = f"{scheme}admin:{quote(before + MARK + after, safe='')}@cam.local/live"
    assert redact(f"Connection refused: '{address}'") == f"Connection refused: '{scheme}cam.local/live'"


@pytest.mark.parametrize("password", ["my S3cr3T word", "S3cr3T ", " S3cr3T", "a b@S3cr3T d/e", "S3cr3T"])
def test_the_credentials_of_a_known_address_go_in_all_spellings(password):
    address = f"rtsp://admin:{password}@10.0.0.7/live"
    for spelt in (address, address.replace(password, quote(password, safe="")), f"login admin, {password}"):
        text = redact(f"failed: {spelt} (401)", address)
        assert MARK not in text, text
        assert "failed" in text
        assert "(401)" in text
    short = "rtsp://a:1@10.0.0.1/live"
    assert redact(f"error 1: {short}", short) == "error 1: rtsp://10.0.0.1/live"


@pytest.mark.parametrize(
    "text",
    [
        f"http://cam/video.cgi?user=admin&password={MARK}&x=1",
        f"http://cam/video.cgi?x=1&pwd={MARK}",
        f"http://cam/a.m3u8?access_token={MARK}#t",
        f"http://cam/a.m3u8?X-Amz-Signature={MARK}",
        f"http://cam/a?api_key={MARK}",
        f"http://cam/a?Key={MARK};b",
        f"rtsp://10.0.0.7:554/user=admin_password={MARK}_channel=1_stream=0.sdp",
        f"rtsp://10.0.0.7:554/user=admin&password={MARK}&channel=1.sdp?real_stream",
        f"rtmp://cam/live?streamid=admin:{MARK}",
        f"http://proxy/?u=http%3A%2F%2Fcam%2F%3Ftoken%3D{MARK}%26x",
        f"Authorization: Basic {MARK}=",
        f'authorization: Digest username="a", response="{MARK}"',
        f"rtsp://admin:{MARK}",
        f"rtsp://admin:{MARK}/live",
        f"rtsp://admin:{MARK}%40host/live",
        f"rtsp://{MARK}@host/live",
        f"a rtsp://a:{MARK}@h1/,rtsp://b:{MARK}@h2/ and admin:{MARK}@h3",
    ],
)
def test_secrets_in_other_places_go(text):
    assert MARK not in redact(f"'{text}'")
    assert MARK not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rtsp://10.0.0.7:554/Streaming/Channels/101?transport=tcp",
        "rtsp://[fe80::1]:554/live: Connection refused",
        "'http://cam:8080': no answer within 40 s",
        "http://cam/a@2x.png",
        "http://cam:8080.",
        "[rtsp @ 0x55d0] method DESCRIBE failed",
        "frame 12: 640x480 pixels, keyint=25",
        "C:\\video\\a.mp4 at 12:30",
    ],
)
def test_other_texts_stay(text):
    assert redact(text) == text


@given(st.text())
def test_redaction_is_stable_and_a_printable_text_is_one_line(text):
    assert redact(redact(text)) == redact(text)
    assert printable(text).isprintable()
    if text.isprintable():
        assert printable(text) == text
