// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Conformance.Tests.Flaws;

namespace PasidFramework.Conformance.Tests;

/// <summary>The tests of the tests: the reference driver passes, and each case has a broken driver that it
/// catches.</summary>
public sealed class MatrixTests
{
    private static readonly RunOptions s_options = new() { Today = new DateOnly(2026, 1, 1), Seed = 1 };
    public static TheoryData<string> CaseIds => [.. ConformanceCatalogue.Cases.Select(c => c.Id)];

    public static TheoryData<string, string> Meant
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (Flaw flaw in AllFlaws.All)
            {
                foreach (string id in flaw.Cases)
                {
                    data.Add(flaw.Name, id);
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(CaseIds))]
    public void The_reference_driver_passes(string id)
    {
        CaseResult result = Run(ReferenceSubject.Create(), id);

        // It reserves no PASID, so that there is none to be refused.
        Assert.True(
            result.Verdict == (id == "TIL-003" ? Verdict.NotApplicable : Verdict.Pass),
            $"{id}: {result.Verdict} {result.Reason}\n{string.Join("\n", result.Details)}");
        Assert.True(result.Verdict == Verdict.NotApplicable || result.Checks > 0);
    }

    [Theory]
    [MemberData(nameof(Meant))]
    public void The_case_that_is_meant_for_it_catches_the_broken_driver(string flaw, string id)
    {
        Flaw broken = AllFlaws.All.Single(f => f.Name == flaw);

        CaseResult result = Run(broken.Bend(ReferenceSubject.Create()), id);

        Assert.True(
            result.Verdict == Verdict.Fail,
            $"{id} on '{flaw}' ({broken.What}): {result.Verdict} {result.Reason}\n{string.Join("\n", result.Details)}");
        Assert.NotEmpty(result.Reason);
        Assert.DoesNotContain('\n', result.Reason);
    }

    [Theory]
    [InlineData("FLT-006", Verdict.NotApplicable), InlineData("LIF-002", Verdict.Pass)]
    [InlineData("TRN-003", Verdict.Pass), InlineData("INV-009", Verdict.Pass)]
    public void A_driver_that_declares_that_it_has_no_quiet_entries_need_not_be_silent(string id, Verdict verdict)
    {
        DriverUnderTest loud = AllFlaws.All.Single(f => f.Name == "loud-exit").Bend(ReferenceSubject.Create());
        Flaw honest = Flaw.OfMetadata(
            "honest", string.Empty, [], m => m.Capabilities |= DriverCapabilities.NoQuietEntry);

        CaseResult result = Run(honest.Bend(loud), id);

        Assert.True(verdict == result.Verdict, $"{id}: {result.Verdict} {result.Reason}");
        Assert.True(verdict == Verdict.Pass || result.Reason.Contains("NoQuietEntry", StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(CaseIds))]
    public void Every_case_has_a_broken_driver(string id) => Assert.Contains(AllFlaws.All, f => f.Cases.Contains(id));

    [Fact]
    public void The_matrix_in_the_docs_is_that_of_the_code() => Pages.Check("conformance-matrix.md", Matrix());

    private static CaseResult Run(DriverUnderTest subject, string id)
    {
        ConformanceCase one = ConformanceCatalogue.Cases.Single(c => c.Id == id);
        return ConformanceRunner.RunCase(subject, one, one.NeedsHardware ? ReferenceSubject.Model : null, s_options);
    }

    private static string Matrix()
    {
        var text = new StringBuilder();
        text.Append(Text($"""
            # Which broken driver each case catches

            Catalogue {ConformanceCatalogue.Version}: {ConformanceCatalogue.Cases.Count} cases, {AllFlaws.All.Count} broken drivers. Each broken driver is
            `Drivers.Reference` with one flaw. `Tests/Conformance.Tests` runs every pair below and wants the verdict *fail*; the
            reference driver itself passes every case (TIL-003 does not apply to it: it reserves no PASID). This page is written
            by the test `The_matrix_in_the_docs_is_that_of_the_code` with `PASID_WRITE_MATRIX=1`.

            | case | level | clause | a driver that passes ... | is caught: a driver that ... |
            |---|---|---|---|---|

            """).ReplaceLineEndings("\n"));
        foreach (ConformanceCase one in ConformanceCatalogue.Cases)
        {
            string flaws = string.Join("<br>", AllFlaws.All.Where(f => f.Cases.Contains(one.Id))
                .Select(f => $"**{f.Name}** {f.What}"));
            text.Append(Text($"| {one.Id} | {one.Level} | {one.Clause} | {one.Summary} | {flaws} |\n"));
        }

        return text.ToString();
    }
}
