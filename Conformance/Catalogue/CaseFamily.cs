// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Catalogue;

/// <summary>Makes the cases of one family.</summary>
internal sealed class CaseFamily(string name, string prefix, bool needsHardware = true)
{
    public ConformanceCase Required(int number, string clause, string summary, Action<CaseContext> run) =>
        Make(number, CaseLevel.Required, clause, summary, run);

    public ConformanceCase Recommended(int number, string clause, string summary, Action<CaseContext> run) =>
        Make(number, CaseLevel.Recommended, clause, summary, run);

    public ConformanceCase Optional(int number, string clause, string summary, Action<CaseContext> run) =>
        Make(number, CaseLevel.Optional, clause, summary, run);

    private ConformanceCase Make(int number, CaseLevel level, string clause, string summary, Action<CaseContext> run) =>
        new()
    {
        Id = Text($"{prefix}-{number:000}"),
        Family = name,
        Level = level,
        Clause = clause,
        Summary = summary,
        NeedsHardware = needsHardware,
        Run = run,
    };
}
