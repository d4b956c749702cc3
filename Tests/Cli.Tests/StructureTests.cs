// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace PasidFramework.Cli.Tests;

/// <summary>explain and encode as users run them, over every structure.</summary>
public sealed class StructureTests
{
    private const string Entry = "intel-vtd/pasid_entry";

    private sealed record Example(string Name, string Structure, IReadOnlyDictionary<string, ulong> Fields,
        byte[] Bytes);

    [Fact]
    public void Every_structure_is_encoded_and_explained_as_the_examples_say()
    {
        Example[] examples = [.. Examples()];
        Assert.Equal(Structures().Order(StringComparer.Ordinal),
            examples.Select(e => e.Structure).Distinct().Order(StringComparer.Ordinal));

        JsonNode[] encoded = Lines(Tool.RunWith(
            string.Join('\n', examples.Select(e => Line(e.Structure, "fields", new JsonObject(
                e.Fields.Select(f => KeyValuePair.Create(f.Key, (JsonNode?)JsonValue.Create(f.Value))))))),
            "encode", "--jsonl"), 0);
        JsonNode[] explained = Lines(Tool.RunWith(
            string.Join('\n', examples.Select(e => Line(e.Structure, "bytes", Convert.ToHexString(e.Bytes)))),
            "explain", "--jsonl"), 0);

        Assert.Equal(examples.Length, encoded.Length);
        Assert.Equal(examples.Length, explained.Length);
        for (int i = 0; i < examples.Length; i++)
        {
            string hex = Convert.ToHexStringLower(examples[i].Bytes);
            Assert.Equal((examples[i].Name, hex), (examples[i].Name, (string?)encoded[i]["bytes"]));
            Assert.Equal(
                (examples[i].Name, Words(examples[i].Bytes)),
                (examples[i].Name, string.Join(' ', encoded[i]["words64"]!.AsArray().Select(w => (string?)w))));
            foreach ((string field, JsonNode? value) in explained[i]["fields"]!.AsObject())
            {
                Assert.Equal(
                    (examples[i].Name, field, examples[i].Fields.GetValueOrDefault(field)),
                    (examples[i].Name, field, value!.GetValue<ulong>()));
            }

            Assert.Superset(
                examples[i].Fields.Keys.ToHashSet(), explained[i]["fields"]!.AsObject().Select(f => f.Key).ToHashSet());
        }
    }

    [Fact]
    public void What_was_encoded_is_explained_again_for_random_values_of_every_field()
    {
        // All ones say how wide each field is: an address lacks the bits that are not stored.
        JsonNode[] widest = Lines(Tool.RunWith(
            string.Join('\n', s_bytes.Select(b => Line(b.Key, "bytes", new string('f', b.Value * 2)))), "explain",
            "--jsonl"), 0);
        var random = new Random(20261122);
        var lines = new StringBuilder();
        var wanted = new List<Dictionary<string, ulong>>();
        foreach (JsonNode structure in widest)
        {
            for (int round = 0; round < 40; round++)
            {
                Dictionary<string, ulong> values = structure["fields"]!.AsObject().ToDictionary(
                    f => f.Key,
                    f => (ulong)random.NextInt64(long.MinValue, long.MaxValue) & f.Value!.GetValue<ulong>());
                wanted.Add(values);
                lines.Append(Line((string)structure["structure"]!, "fields", new JsonObject(values.Select(v =>
                    KeyValuePair.Create(v.Key, (JsonNode?)JsonValue.Create(Hex(v.Value))))))).Append('\n');
            }
        }

        Outcome encoded = Tool.RunWith(lines.ToString(), "encode", "--jsonl");
        JsonNode[] explained = Lines(Tool.RunWith(encoded.Out, "explain", "--jsonl"), 0);

        Assert.Equal(0, encoded.ExitCode);
        Assert.Equal(wanted.Count, explained.Length);
        for (int i = 0; i < wanted.Count; i++)
        {
            Assert.Equal(
                wanted[i].OrderBy(v => v.Key, StringComparer.Ordinal),
                explained[i]["fields"]!.AsObject().Select(f => KeyValuePair.Create(f.Key, f.Value!.GetValue<ulong>()))
                    .OrderBy(v => v.Key, StringComparer.Ordinal));
        }
    }

    [Fact]
    public void A_dump_on_the_command_line_is_shown_with_every_field_and_what_is_wrong()
    {
        Outcome good = Tool.Run("explain", Entry, "0x49", "0x800001", "0x10abcd001", "0", "0", "0", "0", "0");

        Assert.Equal((0, string.Empty), (good.ExitCode, good.Error));
        Assert.Matches("""\n +8:6 +PGTT +1 +translation type: first-stage only\n""", good.Out);
        Assert.Matches("""\n +191:140 +FSPTPTR +0x10abcd000 """, good.Out);
        Assert.EndsWith("\nno violation\n", good.Out, StringComparison.Ordinal);
        Assert.All(Tool.Lines(good.Out), l => Assert.InRange(l.Length, 1, 80));

        Outcome bad = Tool.Run("explain", Entry, "0x69", "0", "0", "0", "0", "0", "0", "1");

        Assert.Equal(0, bad.ExitCode);
        Assert.Contains("2 violations:", bad.Out, StringComparison.Ordinal);
        Assert.Contains("RSVD[5]: reserved bits are 0x1", bad.Out, StringComparison.Ordinal);
        Assert.Contains("RSVD[511:448]: reserved bits are 0x1", bad.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void Words_of_encode_go_into_explain_and_its_violations_go_to_stderr()
    {
        Outcome encoded = Tool.Run("encode", Entry, "P=1", "PGTT=7", "DID=0x2a");

        Assert.Equal(0, encoded.ExitCode);
        Assert.Equal("0x1c1\n0x2a\n0x0\n0x0\n0x0\n0x0\n0x0\n0x0\n", encoded.Out);
        Assert.StartsWith("pasidctl: violation: PGTT: ", encoded.Error, StringComparison.Ordinal);

        Outcome explained = Tool.Run(["explain", Entry, .. Tool.Lines(encoded.Out)]);
        Assert.Contains("PGTT: ", explained.Out, StringComparison.Ordinal);
        Assert.Equal(
            Tool.Run("explain", "--bytes", Entry,
                Tool.Run("encode", "--bytes", Entry, "P=1", "PGTT=7", "DID=0x2a").Out.Trim()).Out,
            explained.Out);
    }

    [Theory]
    [InlineData("intel-vtd/fault_record 00007f0012345000 c12345ff80000018", "FR +0xff +reason: no name for this value")]
    [InlineData("intel-vtd/fault_record 00007f0012345000 c123457180000018",
        "T1 +1 +type of the request, with T2: a read")]
    [InlineData("virtio-iommu/tail 9", "status +9 +what became of the request: no name for this value")]
    [InlineData("arm-smmuv3/l1_stream_desc 0x840000009", "Span +9 .*: 256 entries")]
    [InlineData("arm-smmuv3/cmd_cfgi_ste_range 0x4 31", "Range +0x1f +2\\^\\(Range\\+1\\) StreamIDs: all")]
    [InlineData("arm-smmuv3/cmd_cfgi_ste_range 0x4 3", "Range +3 +2\\^\\(Range\\+1\\) StreamIDs: 16 StreamIDs")]
    [InlineData("intel-vtd/cap 0112008c222f0486", "ND +6 +domain ids have 4\\+2\\*ND bits: 16 bits")]
    public void A_value_is_read_out_and_one_without_a_name_is_said_to_have_none(string arguments, string expected)
    {
        Outcome outcome = Tool.Run(["explain", .. arguments.Split(' ')]);

        Assert.Equal(0, outcome.ExitCode);
        Assert.Matches(expected, System.Text.RegularExpressions.Regex.Replace(outcome.Out, "\\n {20,}", " "));
    }

    [Fact]
    public void A_reader_that_goes_away_ends_the_stream()
    {
        using var process = Tool.Start("/bin/sh", ["-c", $"yes '{Line("pcie/ats_ctrl", "bytes", "0080")}' 2> /dev/null "
            + $"| {Tool.Executable} explain --jsonl | head -n 1; exit 0"]);
        Outcome outcome = Tool.Wait(process);

        Assert.Equal((0, string.Empty), (outcome.ExitCode, outcome.Error));
        Assert.Single(Tool.Lines(outcome.Out));
    }

    [Fact]
    public void An_unknown_structure_in_many_or_long_lines_costs_no_time()
    {
        string unknown = Line("intel-vtd/pasid_entri", "fields", new JsonObject());
        string longName = Line(new string('x', 500_000), "fields", new JsonObject());

        JsonNode[] lines = Lines(Tool.RunWith(
            string.Join('\n', Enumerable.Repeat(unknown, 50_000).Append(longName)), "encode", "--jsonl"), 1);

        Assert.Equal(50_001, lines.Length);
        Assert.Equal("no structure 'intel-vtd/pasid_entri'; did you mean intel-vtd/pasid_entry?",
            (string?)lines[^2]["error"]);
        Assert.Equal($"no structure '{new string('x', 60)}...'", (string?)lines[^1]["error"]);
    }

    [Theory]
    [InlineData("0x12345001 0x100020001"), InlineData("0000000012345001\n0000000100020001")]
    [InlineData("0x12345001, 0x100020001,")]
    public void Words_of_a_pasted_dump_may_be_one_argument(string dump)
    {
        Outcome pasted = Tool.Run("explain", "intel-vtd/sm_root_entry", dump);

        Assert.Equal((0, string.Empty), (pasted.ExitCode, pasted.Error));
        Assert.Equal(Tool.Run("explain", "intel-vtd/sm_root_entry", "0x12345001", "0x100020001").Out, pasted.Out);
        Assert.Equal(
            pasted.Out, Tool.Run("explain", "--bytes", "intel-vtd/sm_root_entry", "01:50:34 12\r\n00000000",
                "01000200 01000000").Out);
    }

    [Fact]
    public void A_request_may_be_given_without_the_tail_that_the_device_writes()
    {
        Outcome whole = Tool.Run("explain", "--bytes", "virtio-iommu/attach", "01000000010000001800000000000000",
            "0000000000000000");
        Outcome cut =
            Tool.Run("explain", "--bytes", "virtio-iommu/attach", "01000000010000001800000000000000", "00000000");

        Assert.Equal((0, whole.Out), (cut.ExitCode, cut.Out));
        Assert.Equal(2, Tool.Run("explain", "--bytes", "virtio-iommu/attach", "0100000001000000").ExitCode);
    }

    [Fact]
    public void The_lists_name_all_structures_and_their_fields_with_bits_in_80_columns()
    {
        Outcome all = Tool.Run("explain", "--list");
        Assert.Equal(all.Out, Tool.Run("encode", "--list").Out);
        foreach (string structure in Structures().Where((_, i) => i % 40 == 0))
        {
            Outcome one = Tool.Run("explain", "--list", structure);
            Assert.Equal((0, string.Empty), (one.ExitCode, one.Error));
            Assert.StartsWith($"{structure}, ", one.Out, StringComparison.Ordinal);
            Assert.All(Tool.Lines(one.Out), l => Assert.InRange(l.Length, 1, 80));
        }

        Assert.Matches("""\n +8:6 +PGTT +translation type: 1 first-stage only, """, Tool.Run("encode", "--list", Entry).Out);
        Assert.Matches("""\n 63:52,15:12|\n +15:12,63:52 +PFSID """, Tool.Run("encode", "--list", "intel-vtd/inv_dev_tlb").Out);
    }

    [Fact]
    public void Lines_in_the_usual_form_and_in_another_are_explained_alike()
    {
        string[] usual =
        [
            .. s_bytes.SelectMany(b => new[] { "00", "ff", "5a" }.Select(two => Line(b.Key, "bytes",
                string.Concat(Enumerable.Repeat(two, b.Value))))),
        ];

        // A blank before the first key is enough for the reader of JSON.
        Outcome plain = Tool.RunWith(string.Join('\n', usual), "explain", "--jsonl");
        Outcome other = Tool.RunWith(string.Join('\n', usual.Select(l => "{ " + l[1..])), "explain", "--jsonl");

        Assert.Equal(usual.Length, Lines(plain, 0).Length);
        Assert.Equal(other.Out, plain.Out);
    }

    [Fact]
    public void Each_wrong_line_has_its_error_in_its_place_and_the_stream_goes_on()
    {
        // input | what the error says; an empty one is a good line
        string[] cases = File.ReadAllLines(Path.Combine(Tool.Vectors, "wrong-lines.txt"));
        foreach (string command in (string[])["encode", "explain"])
        {
            (string Line, string Error)[] rows =
            [
                .. cases.Where(l => l.StartsWith($"{command} | ", StringComparison.Ordinal))
                    .Select(l => l.Split(" | ")).Select(p => (p[1], p.Length > 2 ? p[2] : string.Empty)),
            ];
            Assert.InRange(rows.Length, 15, 100);
            Outcome outcome = Tool.RunWith(string.Join("\r\n", rows.Select(r => r.Line)), command, "--jsonl");
            JsonNode[] lines = Lines(outcome, 1);

            Assert.Equal(rows.Length, lines.Length);
            for (int i = 0; i < rows.Length; i++)
            {
                if (rows[i].Error.Length == 0)
                {
                    Assert.Null(lines[i]["error"]);
                    Assert.Equal(Entry, (string?)lines[i]["structure"]);
                }
                else
                {
                    Assert.Contains(rows[i].Error, (string?)lines[i]["error"], StringComparison.Ordinal);
                    Assert.Equal(i + 1, (int)lines[i]["line"]!);
                    Assert.Null(lines[i]["structure"]);
                }
            }

            int wrong = rows.Count(r => r.Error.Length > 0);
            Assert.Equal($"pasidctl: {wrong} lines were wrong; each has its error in the output\n", outcome.Error);
        }
    }

    [Fact]
    public void A_line_that_is_too_long_is_refused_whole_and_the_next_one_is_read()
    {
        string good = Line("pcie/ats_ctrl", "words64", new JsonArray("0x8000"));
        string longLine = $$"""{"structure":"pcie/ats_ctrl","bytes":"{{new string('0', 3 << 20)}}"}""";

        JsonNode[] lines = Lines(Tool.RunWith($"{good}\n\n{longLine}\n{good}", "explain", "--jsonl"), 1);

        Assert.Equal(3, lines.Length);
        Assert.Equal("the line is longer than 1048576 bytes", (string?)lines[1]["error"]);
        Assert.Equal(3, (int)lines[1]["line"]!);
        Assert.Equal(lines[0].ToJsonString(), lines[2].ToJsonString());
    }

    [Fact]
    public void Whoever_waits_for_an_answer_gets_it_before_the_next_line()
    {
        using var process = Tool.Start(Tool.Executable, ["encode", "--jsonl"], keepInput: true);
        for (int i = 0; i < 20; i++)
        {
            process.StandardInput.Write(Line("pcie/ats_ctrl", "fields", new JsonObject { ["STU"] = i }) + "\n");
            process.StandardInput.Flush();
            Assert.Equal($"0x{i:x}", (string?)JsonNode.Parse(process.StandardOutput.ReadLine()!)!["words64"]![0]);
        }

        process.StandardInput.Close();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    [Fact]
    public void Every_architecture_brings_a_model_a_reader_and_page_tables()
    {
        Outcome text = Tool.Run("drivers");
        JsonNode json = JsonNode.Parse(Tool.Run("drivers", "--json", "-").Out)!;

        Assert.Matches("\nmodels +arm-smmuv3, intel-vtd, virtio-iommu\n", text.Out);
        Assert.Matches("\nreaders +arm-smmuv3, intel-vtd, virtio-iommu\n", text.Out);
        Assert.Matches("\npages +arm-lpae-16k, .*arm-lpae-4k, .*, x86-64, x86-64-5level of the framework\n", text.Out);
        string[] Names(string key) => [.. json[key]!.AsArray().Select(n => (string)n!)];
        Assert.Equal(["arm-smmuv3", "intel-vtd", "virtio-iommu"], Names("models"));
        Assert.Equal(["arm-smmuv3", "intel-vtd", "virtio-iommu"], Names("tableReaders"));
        Assert.Superset(new HashSet<string> { "arm-lpae-4k", "x86-64" }, Names("pageTables").ToHashSet());
        Assert.Equal(Structures(), Names("structures"));
    }

    [Fact]
    public void Without_drivers_only_the_structures_of_no_vendor_are_there()
    {
        using var folder = new TemporaryFolder();

        Outcome outcome = Tool.Run("explain", "--drivers", folder.Root, "--list");

        Assert.Equal(3, outcome.ExitCode);
        Assert.StartsWith($"pasidctl: no plug-in found in {folder.Root}: ", outcome.Error, StringComparison.Ordinal);
        Assert.Contains("x86/ia32_pasid", outcome.Out, StringComparison.Ordinal);
        Assert.DoesNotContain("intel-vtd", outcome.Out, StringComparison.Ordinal);
        Assert.Equal(3, Tool.Run("explain", "--drivers", folder.Root, "intel-vtd/rtaddr", "0").ExitCode);
    }

    private static string[] Structures() => [.. s_bytes.Keys];

    private static IEnumerable<Example> Examples()
    {
        string root = Path.Combine(AppContext.BaseDirectory, "Structures");
        foreach (string file in Directory.GetFiles(Path.Combine(root, "words")))
        {
            foreach (string[] p in Rows(file))
            {
                ulong[] words = [.. p[3].Split(' ')
                    .Select(w => ulong.Parse(w, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture))];
                string id = p[1].Contains('/', StringComparison.Ordinal) ? p[1] : $"arm-smmuv3/{p[1]}";
                yield return new Example(p[0], id, Values(p[2], isHex: false),
                    Whole(id, [.. words.SelectMany(BitConverter.GetBytes)]));
            }
        }

        foreach (string file in Directory.GetFiles(Path.Combine(root, "bytes")))
        {
            foreach (string[] p in Rows(file))
            {
                yield return new Example(p[0], p[1], Values(p[2], isHex: true), Whole(p[1], Hex(p[3].TrimEnd('+'))));
            }
        }

        foreach (string[] p in Rows(Path.Combine(root, "pcie.txt")))
        {
            yield return new Example(p[0], p[0], Values(p[1], isHex: false), Hex(p[2]));
        }
    }

    private static readonly Dictionary<string, int> s_bytes = Tool.Lines(Tool.Run("explain", "--list").Out).Skip(1)
        .Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .ToDictionary(l => l[0], l => (int.Parse(l[1], CultureInfo.InvariantCulture) + 7) / 8);

    private static byte[] Whole(string structure, byte[] bytes)
    {
        Array.Resize(ref bytes, s_bytes[structure]);
        return bytes;
    }

    private static IEnumerable<string[]> Rows(string file) => File.ReadLines(file)
        .Where(l => l.Length > 0 && l[0] != '#').Select(l => (string[])[.. l.Split('|').Select(p => p.Trim())]);

    private static Dictionary<string, ulong> Values(string text, bool isHex) => text is "-" or "" ? [] : text
        .Split(' ', StringSplitOptions.RemoveEmptyEntries)
        .Select(f => f.Split('='))
        .ToDictionary(
            f => f[0],
            f => isHex || f[1].StartsWith("0x", StringComparison.Ordinal)
                ? Convert.ToUInt64(f[1], 16)
                : ulong.Parse(f[1], CultureInfo.InvariantCulture));

    private static byte[] Hex(string text) =>
        Convert.FromHexString(text.Replace(" ", string.Empty, StringComparison.Ordinal));

    private static string Hex(ulong value) => string.Create(CultureInfo.InvariantCulture, $"0x{value:x}");

    private static string Words(byte[] bytes)
    {
        var padded = new byte[(bytes.Length + 7) / 8 * 8];
        bytes.CopyTo(padded, 0);
        return string.Join(' ', Enumerable.Range(0, padded.Length / 8)
            .Select(i => Hex(BitConverter.ToUInt64(padded, i * 8))));
    }

    private static string Line(string structure, string key, JsonNode value) =>
        new JsonObject { ["structure"] = structure, [key] = value }.ToJsonString(JsonSerializerOptions.Default);

    private static JsonNode[] Lines(Outcome outcome, int exitCode)
    {
        Assert.Equal(exitCode, outcome.ExitCode);
        return [.. Tool.Lines(outcome.Out).Select(l => JsonNode.Parse(l)!)];
    }
}
