// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Catalogue;

/// <summary>One case of the catalogue.</summary>
public sealed record ConformanceCase
{
    /// <summary>Permanent id, such as <c>INV-003</c>: a prefix of the family and a number that is never used
    /// again.</summary>
    public required string Id { get; init; }

    /// <summary>Name of the family, such as <c>invalidation</c>; one of
    /// <see cref="ConformanceCatalogue.Families"/>.</summary>
    public required string Family { get; init; }

    public required CaseLevel Level { get; init; }

    /// <summary>The clauses that it proves, such as <c>D5</c> or <c>C3-C5, D1</c>: see
    /// <see cref="ConformanceClause.Expand"/>.</summary>
    public required string Clause { get; init; }

    /// <summary>What a driver that passes does: one line.</summary>
    public required string Summary { get; init; }

    /// <summary>First version of the catalogue that has it.</summary>
    public string Since { get; init; } = "1.0";

    /// <summary>Whether it runs on each back end; otherwise it runs once and its hardware is <c>none</c>.</summary>
    public bool NeedsHardware { get; init; } = true;

    /// <summary>Whether a pass depends on the order in which threads happen to run.</summary>
    public bool IsStochastic { get; init; }

    /// <summary>Runs it; what it throws is its verdict, and a run without a check is inconclusive.</summary>
    internal Action<CaseContext> Run { get; init; } = static _ => { };

    public override string ToString() => $"{Id} {Summary}";
}
