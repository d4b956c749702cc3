// SPDX-License-Identifier: Apache-2.0
using System.Reflection;
using PasidFramework.Conformance.Catalogue;
using PasidFramework.Conformance.Results;
using PasidFramework.Conformance.Waivers;
using Xunit.Sdk;

namespace PasidFramework.Conformance.Xunit.Tests;

public sealed class DriverConformanceTests
{
    private static readonly DateOnly s_today = new(2026, 11, 22);

    private static readonly ConformanceCase[] s_cases =
    [
        Case("T-PASS", c => c.CheckPerformed()),
        Case("T-FAIL", c => c.Fail("entry is wrong", ["[3:0] OP  expected 8  got 7"])),
        Case("T-ERROR", _ => throw new InvalidOperationException("broken")),
        Case("T-NA", c => c.NotApplicable("capability Ats not declared")),
        Case("T-BLIND", _ => { }),
        Case("T-SLOW", c => c.Fail("slow")) with { Level = CaseLevel.Recommended },
        Case("T-ONE", c =>
        {
            c.CheckPerformed();
            if (c.BackEnd.Name == "two")
            {
                c.NotApplicable("two cannot");
            }
        }),
        Case("T-TWO", c =>
        {
            c.CheckPerformed();
            if (c.BackEnd.Name == "two")
            {
                c.Fail("wrong on two");
            }
        }),
        Case("T-BARE", c => c.CheckPerformed()) with { NeedsHardware = false },
    ];

    public static TheoryData<string, string, string> Verdicts => new()
    {
        { "T-PASS", "Passed", "" },
        { "T-FAIL", "Failed", "T-FAIL on one, Required, D5: summary of T-FAIL\nFAIL: entry is wrong\n  [3:0] OP  "
            + "expected 8  got 7\nrepeat: dotnet test --filter \"DisplayName~T-FAIL one\"" },
        { "T-ERROR", "Failed",
            "T-ERROR on one, Required, D5: summary of T-ERROR\nERROR: InvalidOperationException: broken\n" },
        { "T-NA", "Skipped", "not applicable: capability Ats not declared" },
        { "T-BLIND", "Skipped", "inconclusive: no check was performed" },
        { "T-SLOW", "Skipped", "failed; Recommended, not binding: slow" },
    };

    [Theory]
    [MemberData(nameof(Verdicts))]
    public void Each_verdict_becomes_a_test_result_with_its_reason(string id, string outcome, string message)
    {
        Judgement judgement = new Suite().Judge(id, "one");

        Assert.Equal(outcome, judgement.Outcome.ToString());
        Assert.StartsWith(message, judgement.Message, StringComparison.Ordinal);
        Assert.Equal(message.Length == 0, judgement.Message.Length == 0);
    }

    [Fact]
    public void A_test_fails_skips_and_passes_as_it_was_judged()
    {
        var suite = new Suite();

        suite.Conforms("T-PASS", "one");
        suite.Conforms("T-BARE", ConformanceRunner.NoHardware);
        Assert.Contains("entry is wrong", Assert.Throws<FailException>(() => suite.Conforms("T-FAIL", "one")).Message,
            StringComparison.Ordinal);

        // What asserts exceptions lets this one through.
        string skipped = string.Empty;
        try
        {
            suite.Conforms("T-NA", "one");
        }
        catch (SkipException e)
        {
            skipped = e.Message;
        }

        Assert.Contains("capability Ats not declared", skipped, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_case_of_the_catalogue_is_a_row_for_each_back_end()
    {
        MethodInfo method = typeof(Defaults).GetMethod(nameof(DriverConformance.Conforms))!;
        IReadOnlyCollection<ITheoryDataRow> rows = await new CatalogueCasesAttribute()
            .GetData(method, new DisposalTracker());

        Assert.Equal(
            ConformanceCatalogue.Cases.Select(c => (c.Id, c.NeedsHardware ? "model" : "none")),
            rows.Select(r => ((string)r.GetData()[0]!, (string)r.GetData()[1]!)));
        ConformanceCase first = ConformanceCatalogue.Cases.First(c => c.Id == "INV-001");
        Assert.Contains($"INV-001 model [Required] {first.Clause} {first.Summary}",
            rows.Select(r => r.TestDisplayName));
        Assert.All(rows, r => Assert.Equal(string.Empty, r.Label));
        Assert.Equal((s_cases.Length * 2) - 1, new Suite().Rows().Count());
    }

    [Fact]
    public void Strict_wants_every_required_case_shown_somewhere()
    {
        Assert.Equal(TestOutcome.Skipped, new Suite().Judge("T-ONE", "two").Outcome);
        Assert.Equal(TestOutcome.Skipped, new Suite { Strict = true }.Judge("T-ONE", "two").Outcome);
        Assert.StartsWith("strict: ", new Suite { Strict = true }.Judge("T-NA", "two").Message,
            StringComparison.Ordinal);
        Assert.Equal(TestOutcome.Failed, new Suite { Strict = true }.Judge("T-BLIND", "one").Outcome);
    }

    [Fact]
    public void A_waived_failure_is_skipped_with_the_waivers_reason()
    {
        var suite = new Suite { Known = [new Waiver("T-TWO", "two", "erratum 12", "ACME-7", s_today)] };

        Assert.Equal(
            new Judgement(TestOutcome.Skipped, "waived until 2026-11-22: erratum 12 (ACME-7): wrong on two"),
            suite.Judge("T-TWO", "two"));
        Assert.Equal(TestOutcome.Passed, suite.Judge("T-TWO", "one").Outcome);
        Assert.Equal(TestOutcome.Failed, suite.Judge("T-FAIL", "one").Outcome);
    }

    [Fact]
    public void A_waiver_that_is_not_needed_or_has_ended_fails()
    {
        var suite = new Suite
        {
            Known =
            [
                new Waiver("T-PASS", null, "r", "i", s_today), new Waiver("T-TWO", null, "r", "i", s_today),
                new Waiver("T-FAIL", null, "r", "i", s_today.AddDays(-1)),
                new Waiver("T-ERROR", null, "r", "i", s_today),
            ],
        };

        Assert.Equal(new Judgement(TestOutcome.Failed, "T-PASS passes on every back end: remove its waiver"),
            suite.Judge("T-PASS", "one"));
        Assert.Equal(TestOutcome.Passed, suite.Judge("T-TWO", "one").Outcome);
        Assert.StartsWith("the waiver of T-FAIL expired on 2026-11-21\n", suite.Judge("T-FAIL", "one").Message,
            StringComparison.Ordinal);
        Assert.Equal(TestOutcome.Failed, suite.Judge("T-ERROR", "one").Outcome);
    }

    [Theory]
    [InlineData("T-NONE", null, "The waiver of 'T-NONE' names no case.")]
    [InlineData("T-FAIL", "three", "The waiver of T-FAIL names 'three', expected one of one, two.")]
    public void A_waiver_of_nothing_is_found_before_anything_runs(string id, string? hardware, string message)
    {
        var suite = new Suite { Known = [new Waiver(id, hardware, "r", "i", s_today)] };

        Assert.Equal(message, Assert.Throws<InvalidOperationException>(() => suite.Rows().ToArray()).Message);
    }

    private static ConformanceCase Case(string id, Action<CaseContext> run) => new()
    {
        Id = id,
        Family = "tests",
        Level = CaseLevel.Required,
        Clause = "D5",
        Summary = $"summary of {id}",
        Run = run,
    };

    /// <summary>What a vendor writes.</summary>
    internal sealed class Defaults : DriverConformance
    {
        protected override IPasidDriver CreateDriver() => new FakeDriver();
    }

    private sealed class Suite : DriverConformance
    {
        public IReadOnlyList<Waiver> Known { get; init; } = [];
        public bool Strict { get; init; }
        internal override IReadOnlyList<ConformanceCase> Cases => s_cases;
        internal override DateOnly Today => s_today;

        protected override IReadOnlyList<IHardwareBackEnd> BackEnds =>
            [new NamedBackEnd("one"), new NamedBackEnd("two")];

        protected override IReadOnlyList<Waiver> Waivers => Known;
        protected override bool IsStrict => Strict;
        protected override IPasidDriver CreateDriver() => new FakeDriver();
    }
}
