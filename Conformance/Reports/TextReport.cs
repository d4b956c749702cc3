// SPDX-License-Identifier: Apache-2.0
using System.Text;

namespace PasidFramework.Conformance.Reports;

/// <summary>Writes a report for people: one line a result, why it failed and how to see it again, the counts
/// last.</summary>
public static class TextReport
{
    /// <summary>Longest line in characters. Only a single word of a command, such as a file's name, may go
    /// beyond.</summary>
    public const int Width = 80;

    private const string Hanging = "                              ";
    private const string Indent = "           ";

    /// <param name="output">Where to; lines end with a line feed.</param>
    public static void Write(ConformanceReport report, TextWriter output, ReportOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(report);
        ArgumentNullException.ThrowIfNull(output);
        options ??= ReportOptions.Default;
        List<string> lines = [];
        AddHead(lines, report, options);
        foreach (string hardware in Wording.Hardware(report))
        {
            lines.Add(string.Empty);
            Wrap(lines, string.Empty, string.Empty, hardware == ConformanceRunner.NoHardware ? "without hardware"
                : $"on {hardware}");
            foreach (CaseResult result in report.Results.Where(r => r.Hardware == hardware))
            {
                AddResult(lines, report, result);
            }
        }

        lines.Add(string.Empty);
        AddEnd(lines, report, options);
        Write(lines, output);
    }

    /// <summary>Writes what there is to be judged: a line a case.</summary>
    /// <param name="output">Where to; lines end with a line feed.</param>
    public static void WriteCases(IReadOnlyCollection<ConformanceCase> cases, TextWriter output)
    {
        ArgumentNullException.ThrowIfNull(cases);
        ArgumentNullException.ThrowIfNull(output);
        List<string> lines = [];
        foreach (IGrouping<string, ConformanceCase> family in cases.GroupBy(c => c.Family, StringComparer.Ordinal))
        {
            lines.Add(family.Key);
            foreach (ConformanceCase one in family)
            {
                Wrap(lines, $"  {HarmlessText.Line(one.Id),-7}  {one.Level,-11}  ", new string(' ', 22),
                    $"{one.Summary} ({one.Clause})");
            }

            lines.Add(string.Empty);
        }

        int required = cases.Count(c => c.Level == CaseLevel.Required);
        Wrap(lines, string.Empty, "  ", Text(
            $"{cases.Count} cases of catalogue {ConformanceCatalogue.Version}: {required} required, "
                + $"{cases.Count - required} others"));
        Write(lines, output);
    }

    /// <summary>The verdict on a driver in one sentence.</summary>
    public static string Sentence(ConformanceReport report)
    {
        ArgumentNullException.ThrowIfNull(report);
        return HarmlessText.Line(Wording.Sentence(report));
    }

    /// <summary>One result in full, for a test's message: what was judged, the verdict, why, how to see it
    /// again.</summary>
    /// <returns>Lines with a line feed between them, of any length.</returns>
    public static string Describe(CaseResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        ConformanceCase one = result.Case;
        List<string> lines =
        [
            $"{one.Id} on {result.Hardware}, {one.Level}, {one.Clause}: {one.Summary}",
            $"{Wording.Short(result.Verdict)}: {result.Reason}",
            .. result.Details.Select(d => $"  {d}"),
        ];
        if (result.Repeat.Length > 0)
        {
            lines.Add($"repeat: {result.Repeat}");
        }

        return string.Join('\n', lines.Select(HarmlessText.Line));
    }

    private static void AddHead(List<string> lines, ConformanceReport report, ReportOptions options)
    {
        (int required, int others) = Wording.Ran(report);
        string version = report.DriverVersion.Length > 0 ? $" {report.DriverVersion}" : string.Empty;
        Wrap(lines, string.Empty, "  ", $"{report.Driver}{version}, contract "
            + Text($"{DriverContract.Major}.{DriverContract.Minor}, catalogue {report.Catalogue}")
            + Text($" ({required} required, {others} others), seed {report.Seed}")
            + (report.IsStrict ? ", strict" : string.Empty));
        if (report.DriverHash.Length > 0)
        {
            Wrap(lines, "sha256   ", "         ", report.DriverHash);
        }

        if (options.Command.Length > 0)
        {
            AddCommand(lines, "command  ", options.Command);
        }
    }

    private static void AddResult(List<string> lines, ConformanceReport report, CaseResult result)
    {
        ConformanceCase one = result.Case;
        Standing standing = Wording.StandingOf(report, result);
        string level = one.Level.ToString();
        Wrap(lines, $"  {Wording.Short(result.Verdict),-6}  {HarmlessText.Line(one.Id),-7}  {level,-11}  ",
            Hanging, $"{one.Summary} ({one.Clause})");
        if (result.Verdict == Verdict.Pass)
        {
            return;
        }

        Wrap(lines, Indent, Indent, result.Reason);
        switch (standing)
        {
            case Standing.Waived:
                Wrap(lines, Indent + "waived: ", Indent + "  ", Wording.Waiver(result.Waiver!));
                break;
            case Standing.NotBinding:
                Wrap(lines, Indent, Indent, "not binding: the run does not fail for it");
                break;
            case Standing.Counts when result.Verdict is Verdict.NotApplicable or Verdict.Inconclusive:
                Wrap(lines, Indent, Indent, "strict: a required case that is shown nowhere counts as a failure");
                break;
        }

        if (result.Verdict == Verdict.NotApplicable)
        {
            return;
        }

        foreach (string detail in result.Details)
        {
            Wrap(lines, Indent + "| ", Indent + "|   ", detail);
        }

        if (result.Repeat.Length > 0)
        {
            AddCommand(lines, Indent + "repeat: ", result.Repeat);
        }
    }

    private static void AddEnd(List<string> lines, ConformanceReport report, ReportOptions options)
    {
        foreach (string problem in report.WaiverProblems)
        {
            Wrap(lines, "Waivers: ", "  ", problem);
        }

        foreach (BackEndNote note in report.Hardware.Where(h => h.Limits.Length > 0))
        {
            Wrap(lines, $"Limits of {HarmlessText.Line(note.Name)}: ", "  ", note.Limits);
        }

        foreach (UntestedClause untested in options.Untested)
        {
            Wrap(lines, $"Not testable: {HarmlessText.Line(untested.Clause)}: ", "  ", untested.Reason);
        }

        lines.Add(string.Empty);
        Wrap(lines, string.Empty, "  ", Wording.Coverage(report, options));
        foreach (string text in Wording.NotShown(report))
        {
            Wrap(lines, string.Empty, "  ", text);
        }

        Wrap(lines, string.Empty, "  ", Wording.Counts(report));
        Wrap(lines, string.Empty, "  ", Wording.Sentence(report));
    }

    private static void Write(List<string> lines, TextWriter output)
    {
        foreach (string line in lines)
        {
            output.Write(line);
            output.Write('\n');
        }
    }

    // Breaks between words; a word longer than a line is broken itself.
    private static void Wrap(List<string> lines, string label, string hanging, string text)
    {
        int longest = Width - Math.Max(label.Length, hanging.Length);
        IEnumerable<string> words = HarmlessText.Line(text).Split(' ').SelectMany(w => Pieces(w, Math.Max(8, longest)));
        Fill(lines, label, hanging, words, Width, goesOn: string.Empty);
    }

    // Stays a command that can be copied: a line that goes on ends as the shell wants it.
    private static void AddCommand(List<string> lines, string label, string command) => Fill(
        lines, label, new string(' ', Math.Min(label.Length, Indent.Length) + 2),
        HarmlessText.Line(command).Split(' '), Width - 2, goesOn: " \\");

    private static void Fill(
        List<string> lines, string label, string hanging, IEnumerable<string> words, int width, string goesOn)
    {
        var line = new StringBuilder(label);
        bool isEmpty = true;
        foreach (string word in words)
        {
            if (!isEmpty && line.Length + 1 + word.Length > width)
            {
                lines.Add(line.Append(goesOn).ToString().TrimEnd());
                line.Clear().Append(hanging);
                isEmpty = true;
            }

            line.Append(isEmpty ? string.Empty : " ").Append(word);
            isEmpty = false;
        }

        lines.Add(line.ToString().TrimEnd());
    }

    private static IEnumerable<string> Pieces(string word, int longest)
    {
        while (word.Length > longest)
        {
            int end = char.IsHighSurrogate(word[longest - 1]) ? longest - 1 : longest;
            yield return word[..end];
            word = word[end..];
        }

        yield return word;
    }
}
