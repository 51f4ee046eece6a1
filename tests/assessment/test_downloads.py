import datetime
import socket
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from assessment import downloads, drive
from assessment.downloads import Limits, check_target, check_url, direct_address, download, is_public
from mlcore.errors import AnalysisError
from tests.assessment.web_server import giving, redirecting, serving

VIDEO = b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 300


def limits(*allow, max_bytes=10_000_000, total_s=60.0, read_s=30.0):
    return Limits(max_bytes=max_bytes, total_s=total_s, connect_s=30.0, read_s=read_s, allow_hosts=allow)


def failure(url, path, bounds, resolver=downloads.resolve):
    """The error of a download that must leave no file behind."""
    with pytest.raises(AnalysisError) as caught:
        download(url, path, limits=bounds, resolver=resolver)
    assert not path.exists()
    return caught.value


@pytest.fixture
def target(tmp_path):
    return tmp_path / "video"


class TestAddresses:
    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254",
            "224.0.0.1", "224.0.1.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1",
            "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1",
            "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2001:0:a00:1::1",
        ],
    )  # fmt: skip
    def test_it_holds_for_not_public(self, address):
        assert not is_public(address)

    @pytest.mark.parametrize("address", ["8.8.8.8", "142.250.1.1", "2606:4700::1111", "64:ff9b::808:808"])
    def test_it_holds_for_public(self, address):
        assert is_public(address)

    @pytest.mark.parametrize(
        "url",
        [
            "file:///etc/passwd", "ftp://example.com/a", "gopher://example.com", "data:video/mp4,x",
            "//example.com/a", "/etc/passwd", "", "http://", "http:///a", "https://user@example.com/a", "https://user:pw@example.com/a",
            "http://example.com:0/", "http://example.com:99999/", "http://example.com:x/",
            "http://exa mple.com/", "http://example.com/\r\nHost: x", "http://example.com\\@127.0.0.1/",
            "http://[::1", "http://a\x00.com/",
            "https://example.com/" + "a" * 5000, "http://example.com/\ud800",
        ],
    )  # fmt: skip
    def test_it_refuses_without_asking_the_network(self, url):
        with pytest.raises(AnalysisError) as caught:
            check_url(url)
        assert caught.value.code == "url_refused"
        assert caught.value.permanent

    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "0"]
    )
    def test_it_sees_through_spellings_of_loopback(self, host):
        with pytest.raises(AnalysisError) as caught:
            check_target(f"http://{host}/a", limits(), downloads.resolve)
        assert caught.value.code == "url_refused"

    def test_one_private_address_among_public_ones_refuses_the_host(self):
        with pytest.raises(AnalysisError, match="private"):
            check_target("http://a.example/", limits(), lambda host, port: ["8.8.8.8", "10.0.0.1"])

    def test_an_unknown_host_may_be_tried_again(self):
        def unknown(host, port):
            raise socket.gaierror("no such host")

        with pytest.raises(AnalysisError) as caught:
            check_target("http://nowhere.example/", limits(), unknown)
        assert (caught.value.code, caught.value.permanent) == ("download_failed", False)

    def test_an_allowed_host_with_a_port_is_allowed_on_that_port_only(self):
        bounds = limits("intern.example:8080")
        found = check_target("http://Intern.Example:8080/a", bounds, lambda host, port: ["10.0.0.1"])
        assert found.addresses == ("10.0.0.1",)
        with pytest.raises(AnalysisError):
            check_target("http://intern.example/a", bounds, lambda host, port: ["10.0.0.1"])


class TestDownload:
    def test_it_writes_the_file(self, target):
        shares = []
        with serving({"/v.mp4": giving(VIDEO)}) as (host, asked):
            size = download(f"http://{host}/v.mp4", target, limits=limits(host), on_progress=shares.append)
        assert target.read_bytes() == VIDEO
        assert size == len(VIDEO)
        assert shares[-1] == 1.0
        assert asked == [(host, "/v.mp4")]

    def test_it_takes_a_body_without_a_length(self, target):
        with serving({"/v.mp4": giving(VIDEO, length=None)}) as (host, _):
            assert download(f"http://{host}/v.mp4", target, limits=limits(host)) == len(VIDEO)

    def test_loopback_is_refused_unless_allowed(self, target):
        with serving({"/v.mp4": giving(VIDEO)}) as (host, asked):
            error = failure(f"http://{host}/v.mp4", target, limits())
        assert error.code == "url_refused"
        assert asked == []

    def test_ipv6_loopback_is_refused_unless_allowed(self, target):
        with serving({"/v.mp4": giving(VIDEO)}, "::1") as (host, asked):
            assert failure(f"http://{host}/v.mp4", target, limits()).code == "url_refused"
            assert asked == []
            assert download(f"http://{host}/v.mp4", target, limits=limits(host)) == len(VIDEO)

    @pytest.mark.parametrize(
        "there", ["http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:9/", "file:///etc/passwd"]
    )
    def test_a_redirect_is_checked_like_the_first_address(self, target, there):
        with serving({"/v.mp4": redirecting(there)}) as (host, _):
            assert failure(f"http://{host}/v.mp4", target, limits(host)).code == "url_refused"

    def test_redirects_are_followed_and_counted(self, target):
        answers = {f"/{n}": redirecting(f"/{n + 1}") for n in range(8)} | {"/8": giving(VIDEO)}
        with serving(answers) as (host, _):
            assert download(f"http://{host}/3", target, limits=limits(host)) == len(VIDEO)
            error = failure(f"http://{host}/2", target, limits(host))
        assert "redirected" in error.message

    def test_the_connection_goes_to_the_address_that_was_checked(self, target):
        """A name that means something else at each question: only the first meaning counts for a hop."""
        with serving({"/v.mp4": giving(VIDEO)}) as (host, asked):
            port = host.rpartition(":")[2]
            meanings = iter([["127.0.0.1"], ["10.9.8.7"]])
            url = f"http://changing.example:{port}/v.mp4"
            bounds = limits(f"changing.example:{port}")
            assert download(url, target, limits=bounds, resolver=lambda h, p: next(meanings)) == len(VIDEO)
        assert asked == [(f"changing.example:{port}", "/v.mp4")]
        assert next(meanings) == ["10.9.8.7"]

    def test_a_name_that_turns_private_on_the_second_hop_is_refused(self, target, monkeypatch):
        meanings = iter([["127.0.0.1"], ["127.0.0.1"]])
        verdicts = iter([True, False])
        monkeypatch.setattr(downloads, "is_public", lambda address: next(verdicts))
        with serving({"/a": redirecting("/b"), "/b": giving(VIDEO)}) as (host, asked):
            url = f"http://changing.example:{host.rpartition(':')[2]}/a"
            error = failure(url, target, limits(), resolver=lambda h, p: next(meanings))
        assert error.code == "url_refused"
        assert [path for _, path in asked] == ["/a"]

    @pytest.mark.parametrize(
        "status, permanent", [(404, True), (403, True), (410, True), (500, False), (429, False)]
    )
    def test_error_statuses_are_named(self, target, status, permanent):
        with serving({"/v.mp4": giving(b"gone", status=status)}) as (host, _):
            error = failure(f"http://{host}/v.mp4", target, limits(host))
        assert (error.code, error.permanent) == ("download_failed", permanent)
        assert str(status) in error.message

    @pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "video/mp4", ""])
    def test_a_page_is_not_a_video(self, target, kind):
        with serving({"/v.mp4": giving(b"\n <!DOCTYPE html><html><p>Sign in</p>", kind)}) as (host, _):
            error = failure(f"http://{host}/v.mp4", target, limits(host))
        assert error.code == "download_failed"
        assert "a page, not a video" in error.message

    def test_a_body_shorter_than_promised_is_not_kept(self, target):
        with serving({"/v.mp4": giving(VIDEO, length=len(VIDEO) + 5)}) as (host, _):
            error = failure(f"http://{host}/v.mp4", target, limits(host))
        assert (error.code, error.permanent) == ("download_failed", False)

    def test_a_declared_size_over_the_limit_is_refused_at_once(self, target):
        with serving({"/v.mp4": giving(VIDEO, length=10**12)}) as (host, _):
            began = time.monotonic()
            assert failure(f"http://{host}/v.mp4", target, limits(host)).code == "too_large"
        assert time.monotonic() - began < 30

    def test_an_endless_body_is_cut_at_the_limit(self, target):
        def endless(handler):
            giving(b"", length=None)(handler)
            for _ in range(1000):
                handler.wfile.write(b"x" * 65536)

        with serving({"/v.mp4": endless}) as (host, _):
            assert (
                failure(f"http://{host}/v.mp4", target, limits(host, max_bytes=1_000_000)).code == "too_large"
            )

    def test_a_dripping_body_ends_with_the_time(self, target):
        def dripping(handler):
            giving(b"", length=None)(handler)
            for _ in range(1200):  # a minute
                handler.wfile.write(b"x")
                time.sleep(0.05)

        with serving({"/v.mp4": dripping}) as (host, _):
            began = time.monotonic()
            error = failure(f"http://{host}/v.mp4", target, limits(host, total_s=0.6))
        assert "too long" in error.message
        assert not error.permanent
        assert time.monotonic() - began < 30

    def test_dripping_headers_end_with_the_time(self, target):
        def dripping(handler):
            for _ in range(1200):  # a minute
                handler.wfile.write(b"H")
                time.sleep(0.05)

        with serving({"/v.mp4": dripping}) as (host, _):
            began = time.monotonic()
            error = failure(f"http://{host}/v.mp4", target, limits(host, total_s=0.6))
        assert "too long" in error.message
        assert time.monotonic() - began < 30

    def test_silence_ends_with_the_read_timeout(self, target):
        def silent(handler):
            handler.connection.recv(1)  # until the other side has gone

        with serving({"/v.mp4": silent}) as (host, _):
            error = failure(f"http://{host}/v.mp4", target, limits(host, read_s=0.3))
        assert "did not answer in time" in error.message

    def test_a_dripping_tls_handshake_ends_with_the_time(self, target):
        listener = socket.create_server(("127.0.0.1", 0))
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        began = time.monotonic()
        with listener:
            error = failure(f"https://{host}/v.mp4", target, limits(host, total_s=0.6))
        assert "too long" in error.message
        assert time.monotonic() - began < 30

    def test_plain_http_on_a_tls_address_is_a_failed_download(self, target):
        with serving({"/v.mp4": giving(VIDEO)}) as (host, _):
            assert failure(f"https://{host}/v.mp4", target, limits(host)).code == "download_failed"

    def test_a_refused_connection_may_be_tried_again(self, target):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            host = f"127.0.0.1:{listener.getsockname()[1]}"
        error = failure(f"http://{host}/v.mp4", target, limits(host))
        assert (error.code, error.permanent) == ("download_failed", False)

    def test_proxies_of_the_environment_are_not_used(self, target, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        with serving({"/v.mp4": giving(VIDEO)}) as (host, _):
            assert download(f"http://{host}/v.mp4", target, limits=limits(host)) == len(VIDEO)

    def test_a_compressed_body_is_refused(self, target):
        with serving({"/v.mp4": giving(VIDEO, Content_Encoding="gzip")}) as (host, _):
            assert failure(f"http://{host}/v.mp4", target, limits(host)).code == "download_failed"

    def test_an_empty_body_is_a_failed_download(self, target):
        with serving({"/v.mp4": giving(b"")}) as (host, _):
            assert "empty" in failure(f"http://{host}/v.mp4", target, limits(host)).message

    def test_an_interruption_leaves_no_file(self, target):
        def stop(share):
            raise KeyboardInterrupt

        with serving({"/v.mp4": giving(VIDEO)}) as (host, _), pytest.raises(KeyboardInterrupt):
            download(f"http://{host}/v.mp4", target, limits=limits(host), on_progress=stop)
        assert not target.exists()


ID = "1AbC-dEf_GhIjKlMnOpQrStUv"
DIRECT = f"https://drive.usercontent.google.com/download?id={ID}&export=download&confirm=t"


class TestDriveLinks:
    @pytest.mark.parametrize(
        "url",
        [
            f"https://drive.google.com/file/d/{ID}/view?usp=sharing",
            f"https://drive.google.com/file/d/{ID}/view",
            f"https://drive.google.com/file/d/{ID}/edit?usp=drive_link",
            f"https://drive.google.com/file/d/{ID}/preview",
            f"https://drive.google.com/file/d/{ID}",
            f"https://drive.google.com/file/u/0/d/{ID}/view",
            f"https://drive.google.com/a/example.com/file/d/{ID}/view",
            f"https://drive.google.com/open?id={ID}",
            f"https://drive.google.com/uc?id={ID}",
            f"https://drive.google.com/uc?export=download&id={ID}",
            f"https://drive.google.com/u/1/uc?id={ID}&export=download",
            f"https://docs.google.com/uc?id={ID}",
            f"https://docs.google.com/file/d/{ID}/edit",
            f"http://drive.google.com/file/d/{ID}/view",
            f"drive.google.com/file/d/{ID}/view",
            f"  https://drive.google.com/file/d/{ID}/view\n",
        ],
    )
    def test_every_form_leads_to_the_file(self, url):
        assert direct_address(url) == DIRECT

    def test_the_resource_key_is_kept(self):
        found = direct_address(f"https://drive.google.com/file/d/{ID}/view?usp=sharing&resourcekey=0-abc")
        assert found == f"{DIRECT}&resourcekey=0-abc"

    @pytest.mark.parametrize(
        "url",
        [
            f"https://drive.google.com/drive/folders/{ID}?usp=sharing",
            f"https://drive.google.com/drive/u/0/folders/{ID}",
            f"https://drive.google.com/folderview?id={ID}",
            f"https://docs.google.com/document/d/{ID}/edit",
            "https://drive.google.com/drive/my-drive",
            "https://drive.google.com/open?id=../..",
        ],
    )
    def test_folders_documents_and_nothing_are_refused(self, url):
        with pytest.raises(AnalysisError) as caught:
            direct_address(url)
        assert caught.value.code == "url_refused"

    @pytest.mark.parametrize(
        "url", [DIRECT, "https://example.com/file/d/x/view", "https://cdn.example.com/v.mp4?id=1"]
    )
    def test_other_addresses_stay_as_they_are(self, url):
        assert direct_address(url) == url

    def test_the_download_anyway_form_is_followed(self, target):
        page = (
            '<!DOCTYPE html><html><form id="download-form" action="/download" method="get">'
            f'<input type="submit"><input type="hidden" name="id" value="{ID}">'
            '<input type="hidden" name="confirm" value="t">'
            '<input type="hidden" name="uuid" value="a&amp;b"></form>'
        ).encode()

        def answer(handler):
            giving(VIDEO)(handler) if "uuid=a%26b" in handler.path else giving(page, "text/html")(handler)

        with serving({"/download": answer}) as (host, asked):
            port = host.rpartition(":")[2]
            name = f"drive.usercontent.google.com:{port}"
            url = f"http://{name}/download?id={ID}"
            size = download(url, target, limits=limits(name), resolver=lambda h, p: ["127.0.0.1"])
        assert size == len(VIDEO)
        assert asked[1] == (name, f"/download?id={ID}&confirm=t&uuid=a%26b")

    def test_a_drive_page_without_the_form_says_why(self, target):
        page = b"<!DOCTYPE html><html><p>Quota exceeded</p></html>"
        with serving({"/download": giving(page, "text/html")}) as (host, _):
            name = f"drive.usercontent.google.com:{host.rpartition(':')[2]}"
            url = f"http://{name}/download?id={ID}"
            error = failure(url, target, limits(name), resolver=lambda h, p: ["127.0.0.1"])
        assert "shared" in error.message

    def test_a_sign_in_redirect_says_that_the_file_is_not_shared(self, target):
        there = "https://accounts.google.com/ServiceLogin?continue=x"
        with serving({"/download": redirecting(there)}) as (host, _):
            error = failure(f"http://{host}/download", target, limits(host))
        assert "share the file" in error.message

    def test_a_form_that_never_ends_asking_is_given_up(self, target):
        page = b'<html><form id="download-form" action="/download"><input type="hidden" name="a"></form>'
        with serving({"/download": giving(page, "text/html")}) as (host, asked):
            name = f"drive.usercontent.google.com:{host.rpartition(':')[2]}"
            failure(f"http://{name}/download", target, limits(name), resolver=lambda h, p: ["127.0.0.1"])
        assert len(asked) == 2

    def test_the_form_parser_needs_the_download_form(self):
        assert drive.confirmed_url('<form action="/s"><input type="hidden" name="a"></form>', DIRECT) is None


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Files of a certificate for video.example, which is its own authority, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "video.example")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("video.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder / "cert.pem", folder / "key.pem"


class TestTls:
    def get(self, name, target, certificate):
        with serving({"/v.mp4": giving(VIDEO)}, tls=certificate) as (host, _):
            there = f"{name}:{host.rpartition(':')[2]}"
            bounds = limits(there)
            return download(
                f"https://{there}/v.mp4", target, limits=bounds, resolver=lambda h, p: ["127.0.0.1"]
            )

    def test_the_name_is_verified_though_the_address_is_pinned(self, target, certificate, monkeypatch):
        monkeypatch.setattr(downloads.certifi, "where", lambda: str(certificate[0]))
        assert self.get("video.example", target, certificate) == len(VIDEO)
        with pytest.raises(AnalysisError, match="certificate"):
            self.get("other.example", target, certificate)

    def test_an_unknown_authority_is_refused(self, target, certificate):
        with pytest.raises(AnalysisError, match="certificate") as caught:
            self.get("video.example", target, certificate)
        assert caught.value.permanent
        assert not target.exists()
