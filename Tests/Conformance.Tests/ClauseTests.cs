// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Tests;

/// <summary>What cases are about, and what becomes of it.</summary>
public sealed class ClauseTests
{
    [Theory]
    [InlineData("D5", "D5"), InlineData("C3-C5, D1", "C3 C4 C5 D1"), InlineData("A9-A11", "A9 A10 A11")]
    [InlineData("UnitSetup.Name", "UnitSetup.Name"), InlineData("C5-C3", "C5-C3"), InlineData("X-D1", "X-D1")]
    [InlineData("D1-X", "D1-X"), InlineData("A1-B-D5", "A1-B-D5"), InlineData("-", "-")]
    [InlineData("IHI 0070", "IHI 0070")]
    public void A_list_is_expanded(string list, string ids) =>
        Assert.Equal(ids.Split(ids.StartsWith("IHI", StringComparison.Ordinal) ? '#' : ' '),
            ConformanceClause.Expand(list));

    [Fact]
    public void Every_case_is_about_clauses_of_the_table() => Assert.All(
        ConformanceCatalogue.Cases.SelectMany(c => ConformanceClause.Expand(c.Clause)),
        id => Assert.Contains(ConformanceClause.All, c => c.Id == id));

    [Fact]
    public void Every_clause_has_a_case_or_a_reason_why_not()
    {
        string[] tested =
            [.. ConformanceCatalogue.Cases.SelectMany(c => ConformanceClause.Expand(c.Clause)).Distinct()];
        string[] untested = [.. ConformanceCatalogue.Untested.SelectMany(u => ConformanceClause.Expand(u.Clause))];

        Assert.Empty(tested.Intersect(untested));
        Assert.Equal(
            ConformanceClause.All.Select(c => c.Id).Order(StringComparer.Ordinal),
            tested.Concat(untested).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData(new[] { Verdict.Pass, Verdict.NotApplicable }, Verdict.Pass, 1)]
    [InlineData(new[] { Verdict.Pass, Verdict.Inconclusive }, Verdict.Inconclusive, 1)]
    [InlineData(new[] { Verdict.Inconclusive, Verdict.Error }, Verdict.Error, 0)]
    [InlineData(new[] { Verdict.Error, Verdict.Fail, Verdict.Pass }, Verdict.Fail, 1)]
    [InlineData(new[] { Verdict.NotApplicable, Verdict.Inconclusive }, Verdict.Inconclusive, 0)]
    [InlineData(new[] { Verdict.NotApplicable, Verdict.NotApplicable }, Verdict.NotApplicable, 0)]
    public void A_clause_has_the_worst_of_its_verdicts_and_counts_where_something_is_known(
        Verdict[] verdicts, Verdict worst, int exercised)
    {
        ConformanceCase one = new()
        {
            Id = "INV-001", Family = "invalidation", Level = CaseLevel.Required, Clause = "D5", Summary = "x",
        };
        var report = new ConformanceReport
        {
            Driver = "acme",
            Seed = 1,
            Results = [.. verdicts.Select((v, i) => new CaseResult { Case = one, Hardware = $"h{i}", Verdict = v })],
        };

        ClauseResult clause = Assert.Single(report.Clauses);
        Assert.Equal(("D5", worst, true), (clause.Clause, clause.Verdict, clause.IsRequired));
        Assert.Equal((exercised, 1), report.Coverage);
        Assert.Equal(exercised == 0 ? ["D5"] : [], report.NotExercised);
        Assert.Equal(exercised == 0 ? ["INV-001"] : [], report.NotShown);
        Assert.Equal(exercised == 0, report.ShowsNothing);
    }

    [Fact]
    public void A_waived_failure_is_known_and_what_does_not_apply_beside_it_is_not_missed()
    {
        ConformanceCase one = new()
        {
            Id = "INV-001", Family = "invalidation", Level = CaseLevel.Required, Clause = "D5", Summary = "x",
        };
        var waiver = new Waiver("INV-001", "qemu", "known", "ACME-1", new DateOnly(2999, 1, 1));
        var report = new ConformanceReport
        {
            Driver = "acme",
            Seed = 1,
            IsStrict = true,
            Results =
            [
                new CaseResult { Case = one, Hardware = "model", Verdict = Verdict.NotApplicable },
                new CaseResult { Case = one, Hardware = "qemu-10.0.13", Verdict = Verdict.Fail, Waiver = waiver },
                new CaseResult
                {
                    Case = one with { Id = "INV-010", Level = CaseLevel.Optional }, Hardware = "model", Verdict =
                        Verdict.Error,
                },
            ],
        };

        Assert.Empty(report.NotShown);
        Assert.False(report.Counts(report.Results[0]));
        Assert.Equal(Verdict.Fail, Assert.Single(report.Clauses).Verdict);
        Assert.Equal(Verdict.Error, Assert.Single((report with { Results = [report.Results[2]] }).Clauses).Verdict);
        Assert.Equal(
            Verdict.NotApplicable,
            Assert.Single((report with { Results = [report.Results[0], report.Results[2]] }).Clauses).Verdict);
    }

    [Theory]
    [InlineData(null, "qemu-10.0.13", true), InlineData("qemu", "qemu-10.0.13", true)]
    [InlineData("qemu-10.0.13", "qemu-10.0.13", true), InlineData("qemu-10.0.1", "qemu-10.0.13", false)]
    [InlineData("qemu-10.0.13", "qemu", false), InlineData("model", "qemu-10.0.13", false)]
    public void A_waiver_covers_its_back_end_or_all_of_its_kind(string? hardware, string on, bool covers)
    {
        var waiver = new Waiver("INV-001", hardware, "known", "ACME-1", new DateOnly(2999, 1, 1));

        Assert.Equal(covers, waiver.Covers("INV-001", on));
        Assert.False(waiver.Covers("INV-002", on));
    }

    [Fact]
    public void The_clauses_in_the_docs_are_those_of_the_code() => Pages.Check("conformance-clauses.md", Page());

    private static string Page()
    {
        var text = new StringBuilder();
        text.Append(Text($"""
            # The clauses, and what proves each

            Catalogue {ConformanceCatalogue.Version}. A: allocators; C: core and lifetimes; D: drivers and tables; F: faults; then what the comments of
            the contract promise. Where no case is about a clause, the reason stands there. Section 9 of [design.md](../design.md) says
            where the core's own tests are. This page is written by the test `The_clauses_in_the_docs_are_those_of_the_code`
            with `PASID_WRITE_MATRIX=1`.

            | clause | is | cases |
            |---|---|---|

            """).ReplaceLineEndings("\n"));
        foreach (ConformanceClause clause in ConformanceClause.All)
        {
            string cases = string.Join(", ", ConformanceCatalogue.Cases
                .Where(c => ConformanceClause.Expand(c.Clause).Contains(clause.Id)).Select(c => c.Id));
            string reason = ConformanceCatalogue.Untested
                .FirstOrDefault(u => ConformanceClause.Expand(u.Clause).Contains(clause.Id))?.Reason ?? string.Empty;
            text.Append(Text($"| {clause.Id} | {clause.Text} | {(cases.Length > 0 ? cases : $"none: {reason}")} |\n"));
        }

        return text.ToString();
    }
}
