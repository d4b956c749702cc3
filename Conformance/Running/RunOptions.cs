// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Running;

/// <summary>How a run goes.</summary>
public sealed record RunOptions
{
    public ulong Seed { get; init; } = 1;

    /// <summary>Ids of the cases to run; empty for all.</summary>
    public IReadOnlyCollection<string> Cases { get; init; } = [];

    /// <summary>Families to run; empty for all.</summary>
    public IReadOnlyCollection<string> Families { get; init; } = [];

    /// <summary>Whether a required case that was shown nowhere counts as a failure.</summary>
    public bool IsStrict { get; init; }

    public IReadOnlyList<Waiver> Waivers { get; init; } = [];

    /// <summary>The day by which waivers expire.</summary>
    public required DateOnly Today { get; init; }

    /// <summary>The command that repeats a case on a back end; null where there is none.</summary>
    public Func<ConformanceCase, string, string>? Repeat { get; init; }

    /// <summary>Called with each case before it runs, with the name of its back end.</summary>
    public Action<ConformanceCase, string>? Starting { get; init; }

    public Action<CaseResult>? Progress { get; init; }
}
