// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Conformance.Bench;
using PasidFramework.Conformance.Catalogue;
using PasidFramework.Conformance.Reports;
using PasidFramework.Conformance.Results;
using PasidFramework.Conformance.Running;
using PasidFramework.Conformance.Waivers;
using PasidFramework.Contracts;
using PasidFramework.DriverKit.PageTables;
using PasidFramework.Records;
using Xunit;

namespace PasidFramework.Conformance.Xunit;

/// <summary>
/// The whole catalogue as tests of one driver. A vendor derives a class and says how the driver is made; everything
/// else has a default, which comes from what the driver's assembly exports. New cases appear with the package that has
/// them.
/// </summary>
/// <remarks>
/// A case that does not apply, or could not see what it checks, is skipped with the reason; so is a failure that a
/// waiver excuses or whose level does not bind. Everything else that did not pass is a failed test: the tests are red
/// where <see cref="ConformanceReport.IsConformant"/> is false.
/// </remarks>
public abstract class DriverConformance
{
    private DriverDiscovery? _found;
    private DriverUnderTest? _subject;

    /// <summary>Settings of the driver's units by name.</summary>
    protected virtual IReadOnlyDictionary<string, string> UnitOptions { get; } = new Dictionary<string, string>();

    /// <summary>What the driver is run on, each name once. By default the software model of its table format where its
    /// assembly exports one, and its own stand-in otherwise.</summary>
    protected virtual IReadOnlyList<IHardwareBackEnd> BackEnds => Found.SoftwareBackEnds;

    /// <summary>Known failures. One that is not needed any more, or has expired, is a failed test.</summary>
    protected virtual IReadOnlyList<Waiver> Waivers => [];

    /// <summary>The seed of everything that is drawn.</summary>
    protected virtual ulong Seed => 1;

    /// <summary>Whether a required case that is shown on no back end is a failure.</summary>
    protected virtual bool IsStrict => false;

    /// <summary>The reader of the driver's tables; null where there is none.</summary>
    protected virtual ITableReader? Reader => Found.Reader;

    /// <summary>The writer of the driver's table format; null where there is none.</summary>
    protected virtual IPasidTableFormat? TableFormat => Found.TableFormat;

    protected virtual IReadOnlyList<Layout> Structures => Found.Structures;

    /// <summary>Page table formats by name, for what the back ends walk: those of CPUs, and what the driver's assembly
    /// exports.</summary>
    /// <exception cref="ArgumentException">The assembly exports one under the name of a CPU's.</exception>
    protected virtual IReadOnlyDictionary<string, IPageTableFormat> PageTables => CpuPageTables.All
        .Select(format => KeyValuePair.Create<string, IPageTableFormat>(format.Name, format)).Concat(Found.PageTables)
        .ToDictionary(StringComparer.Ordinal);

    /// <summary>Table readers of other assemblies, for a driver, model or reader that imports one by name.</summary>
    protected virtual IReadOnlyList<ITableReader> ForeignReaders => [];

    internal virtual IReadOnlyList<ConformanceCase> Cases => ConformanceCatalogue.Cases;

    /// <summary>The day by which waivers expire.</summary>
    internal virtual DateOnly Today => DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime);

    private DriverDiscovery Found => _found ??= DriverDiscovery.Of(CreateDriver(), ForeignReaders);

    private DriverUnderTest Subject => _subject ??= Found.ToSubject() with
    {
        UnitOptions = UnitOptions,
        BackEnds = BackEnds,
        Reader = Reader,
        TableFormat = TableFormat,
        Structures = Structures,
        PageTables = PageTables,
    };

    /// <param name="hardware">Name of the back end; <see cref="ConformanceRunner.NoHardware"/> where the case needs
    /// none.</param>
    [Theory]
    [CatalogueCases]
    public void Conforms(string id, string hardware)
    {
        Judgement judgement = Judge(id, hardware);
        switch (judgement.Outcome)
        {
            case TestOutcome.Failed:
                Assert.Fail(judgement.Message);
                break;
            case TestOutcome.Skipped:
                Assert.Skip(judgement.Message);
                break;
        }
    }

    /// <summary>Every case with the names of the back ends that it runs on.</summary>
    /// <exception cref="InvalidOperationException">A waiver names no case or no back end.</exception>
    internal IEnumerable<(ConformanceCase Case, string Hardware)> Rows()
    {
        string[] names = [.. Subject.BackEnds.Select(b => b.Name)];
        foreach (Waiver waiver in Waivers)
        {
            if (!Cases.Any(c => c.Id == waiver.Id))
            {
                throw new InvalidOperationException($"The waiver of '{waiver.Id}' names no case.");
            }

            if (waiver.Hardware is { } hardware && !ConformanceRunner.IsBackEnd(hardware) && !names.Contains(hardware))
            {
                throw new InvalidOperationException(
                    $"The waiver of {waiver.Id} names '{hardware}', expected one of {string.Join(", ", names)}.");
            }
        }

        return Cases.SelectMany(c => HardwareOf(c).Select(hardware => (c, hardware)));
    }

    internal Judgement Judge(string id, string hardware)
    {
        ConformanceCase one = Cases.Single(c => c.Id == id);
        CaseResult result = Run(one, hardware);
        if (Waivers.FirstOrDefault(w => w.Covers(id, hardware)) is { } waiver)
        {
            if (waiver.Expires < Today)
            {
                return new(TestOutcome.Failed, Text(
                    $"the waiver of {id} expired on {waiver.Expires:yyyy-MM-dd}\n{TextReport.Describe(result)}"));
            }

            if (result.Verdict == Verdict.Fail)
            {
                return new(TestOutcome.Skipped, Text(
                    $"waived until {waiver.Expires:yyyy-MM-dd}: {waiver.Reason} ({waiver.Issue}): {result.Reason}"));
            }

            // A waiver for all back ends is needed as long as it fails on one of them.
            if (result.Verdict == Verdict.Pass && HardwareOf(one).Where(h => h != hardware && waiver.Covers(id, h))
                .All(h => Run(one, h).Verdict is Verdict.Pass or Verdict.NotApplicable))
            {
                return new(TestOutcome.Failed,
                    $"{id} passes on {waiver.Hardware ?? "every back end"}: remove its waiver");
            }
        }

        return result.Verdict switch
        {
            Verdict.Pass => new(TestOutcome.Passed, string.Empty),
            Verdict.Fail when one.Level is CaseLevel.Recommended or CaseLevel.Informative =>
                new(TestOutcome.Skipped, $"failed; {one.Level}, not binding: {result.Reason}"),
            Verdict.Fail or Verdict.Error => new(TestOutcome.Failed, TextReport.Describe(result)),
            _ when IsMissed(one, hardware) => new(TestOutcome.Failed,
                $"strict: required, and shown on no back end\n{TextReport.Describe(result)}"),
            Verdict.Inconclusive => new(TestOutcome.Skipped, $"inconclusive: {result.Reason}"),
            _ => new(TestOutcome.Skipped, $"not applicable: {result.Reason}"),
        };
    }

    /// <summary>Makes the driver; asked for each test anew.</summary>
    protected abstract IPasidDriver CreateDriver();

    private bool IsMissed(ConformanceCase one, string hardware) => IsStrict && one.Level == CaseLevel.Required
        && !HardwareOf(one).Where(h => h != hardware).Any(h => Run(one, h).Verdict is Verdict.Pass or Verdict.Fail);

    private IEnumerable<string> HardwareOf(ConformanceCase one) =>
        one.NeedsHardware ? Subject.BackEnds.Select(b => b.Name) : [ConformanceRunner.NoHardware];

    private CaseResult Run(ConformanceCase one, string hardware) => ConformanceRunner.RunCase(
        Subject,
        one,
        one.NeedsHardware ? Subject.BackEnds.Single(b => b.Name == hardware) : null,
        new RunOptions
        {
            Seed = Seed,
            Today = Today,
            Repeat = static (c, h) => $"dotnet test --filter \"DisplayName~{c.Id} {h}\"",
        });
}
