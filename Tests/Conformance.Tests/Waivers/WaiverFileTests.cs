// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Tests.Waivers;

public sealed class WaiverFileTests
{
    private const string Good = """{"id":"INV-001","reason":"erratum 12","issue":"ACME-7","expires":"2027-03-31"}""";

    [Fact]
    public void A_waiver_has_an_id_a_reason_an_issue_and_an_end()
    {
        OpResult<IReadOnlyList<Waiver>> read = Read($$"""
            [ {{Good}},
              {"hardware":"model","expires":"2026-12-01","id":"INV-001","issue":"ACME-8","reason":"é"} ]
            """);

        Assert.Equal(
            [
                new Waiver("INV-001", null, "erratum 12", "ACME-7", new DateOnly(2027, 3, 31)),
                new Waiver("INV-001", "model", "é", "ACME-8", new DateOnly(2026, 12, 1)),
            ],
            read.Value!);
    }

    [Theory]
    [InlineData("[]"), InlineData(" \n [ ] \n"), InlineData("\ufeff[]")]
    public void A_file_without_waivers_is_fine(string text) => Assert.Empty(Read(text).Value!);

    [Theory]
    [InlineData("", "w.json: line 1, column 1: not JSON: ")]
    [InlineData("{}", "w.json: line 1, column 1: must be an array of waivers: [ ... ]")]
    [InlineData("[\n\n  7]", "w.json: line 3, column 3: each waiver must be an object: { \"id\": ... }")]
    [InlineData("[{\"id\":\"INV-001\",]", "w.json: line 1, column 18: not JSON: ")]
    [InlineData("[]\n[]", "w.json: line 2, column 1: not JSON: ")]
    [InlineData("[{}]", "w.json: line 1, column 2: the waiver has no 'id'")]
    [InlineData("[{\"id\":\"INV-001\",\"issue\":\"a\",\"expires\":\"2027-03-31\"}]",
        "w.json: line 1, column 2: the waiver has no 'reason'")]
    [InlineData("[{\"id\":\"INV-001\",\"reason\":\"a\",\"expires\":\"2027-03-31\"}]",
        "w.json: line 1, column 2: the waiver has no 'issue'")]
    [InlineData("[\n {\"id\":\"INV-001\",\"reason\":\"a\",\n\"issue\":\"b\"}]",
        "w.json: line 2, column 2: the waiver has no 'expires'")]
    [InlineData("[{\"id\":\"INV-001\",\n \"why\":\"a\"}]",
        "w.json: line 2, column 2: unknown key 'why'; expected one of id, hardware, reason, issue, expires")]
    [InlineData("[{\"id\":\"INV-001\",\"id\":\"INV-001\"}]", "w.json: line 1, column 18: 'id' is there twice")]
    [InlineData("[{\"id\":\"INV-999\"}]", "w.json: line 1, column 8: 'INV-999' is no case of catalogue ")]
    [InlineData("[{\"id\":\"INV-.*\"}]", "w.json: line 1, column 8: 'INV-.*' is no case of catalogue ")]
    [InlineData("[{\"id\":7}]", "w.json: line 1, column 8: 'id' must be a string")]
    [InlineData("[{\"hardware\":null}]", "w.json: line 1, column 14: 'hardware' must be a string")]
    [InlineData("[{\"reason\":\" \"}]", "w.json: line 1, column 12: 'reason' is empty")]
    [InlineData("[{\"expires\":\"31.3.2027\"}]",
        "w.json: line 1, column 13: 'expires' is '31.3.2027', must be a date like 2027-03-31")]
    [InlineData("[{\"expires\":\"2027-02-30\"}]",
        "w.json: line 1, column 13: 'expires' is '2027-02-30', must be a date like 2027-03-31")]
    [InlineData("[{\"\\u001b[31m\":\"a\"}]", "w.json: line 1, column 3: unknown key '\\u001b[31m'; expected ")]
    [InlineData("[{\"reason\":\"\\ud800\"}]", "w.json: line 1, column 12: not UTF-8 text")]
    public void What_is_wrong_is_one_line_with_its_place(string text, string beginning)
    {
        OpResult<IReadOnlyList<Waiver>> read = Read(text);

        Assert.Equal(Errno.EINVAL, read.Errno);
        Assert.StartsWith(beginning, read.Reason, StringComparison.Ordinal);
        Assert.DoesNotContain(read.Reason!, char.IsControl);
    }

    [Fact]
    public void The_same_case_on_the_same_hardware_is_waived_once()
    {
        Assert.Equal("w.json: line 2, column 1: INV-001 has a waiver already", Read($"[{Good},\n{Good}]").Reason);
        string onModel = Good.Replace("{", "{\"hardware\":\"model\",", StringComparison.Ordinal);
        Assert.Equal("w.json: line 2, column 1: INV-001 on model has a waiver already",
            Read($"[{onModel},\n{onModel}]").Reason);
    }

    [Fact]
    public void A_key_that_is_too_long_is_named_with_the_limit() => Assert.Equal(
        "w.json: line 1, column 12: 'reason' has 1001 characters, at most 1000",
        Read($"[{{\"reason\":\"{new string('x', 1001)}\"}}]").Reason);

    [Fact]
    public void A_file_that_is_too_long_is_not_read_to_its_end()
    {
        Assert.True(Read("[" + new string(' ', WaiverFile.MaxBytes - 2) + "]").IsOk);
        Assert.Equal("w.json: longer than 1048576 bytes",
            Read("[" + new string(' ', WaiverFile.MaxBytes - 1) + "]").Reason);
    }

    [Fact]
    public void Bytes_that_are_no_text_are_refused()
    {
        using var stream = new MemoryStream([(byte)'[', (byte)'{', (byte)'"', 0xff, (byte)'"']);

        Assert.StartsWith("w.json: line 1, column ", WaiverFile.Load(stream, "w.json").Reason,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_cannot_be_read_differs_from_one_that_is_wrong()
    {
        string folder = Directory.CreateTempSubdirectory("waivers").FullName;
        string file = Path.Combine(folder, "w.json");
        Assert.Equal("w.json: there is no such file", WaiverFile.Load(file).Reason);
        Assert.Equal(Errno.ENOENT, WaiverFile.Load(Path.Combine(file, "w.json")).Errno);
        Assert.Equal(Errno.EPERM, WaiverFile.Load(folder).Errno);

        File.WriteAllText(file, $"[{Good}]");
        Assert.Single(WaiverFile.Load(file).Value!);
        Directory.Delete(folder, recursive: true);
    }

    private static OpResult<IReadOnlyList<Waiver>> Read(string text)
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(text));
        return WaiverFile.Load(stream, "w.json");
    }
}
