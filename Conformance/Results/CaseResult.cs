namespace PasidFramework.Conformance;

/// <summary>What became of one case on one back end.</summary>
public sealed record CaseResult
{
    /// <summary>The case.</summary>
    public required ConformanceCase Case { get; init; }

    /// <summary>Name of the back end; <c>none</c> for a case that needs no hardware.</summary>
    public required string Hardware { get; init; }

    /// <summary>The verdict.</summary>
    public required Verdict Verdict { get; init; }

    /// <summary>Why, in one line; empty for a pass.</summary>
    public string Reason { get; init; } = string.Empty;

    /// <summary>More lines: the difference field by field, the shortest failing sequence, a stack trace.</summary>
    public IReadOnlyList<string> Details { get; init; } = [];

    /// <summary>The command that repeats it; empty where nobody has said how drivers are named on a command line.</summary>
    public string Repeat { get; init; } = string.Empty;

    /// <summary>How many single looks it took: accesses, comparisons. 0 makes a pass impossible.</summary>
    public long Checks { get; init; }

    /// <summary>How long it took; not part of any verdict.</summary>
    public TimeSpan Duration { get; init; }

    /// <summary>The waiver that excuses its failure; null where there is none.</summary>
    public Waiver? Waiver { get; init; }
}

/// <summary>A known failure that its owner has accepted for a while: an entry of the waiver file.</summary>
/// <param name="Id">Id of the case.</param>
/// <param name="Hardware">Name of the back end, or the first part of it (<c>qemu</c> for all of QEMU's); null for all.</param>
/// <param name="Reason">Why it is accepted.</param>
/// <param name="Issue">Where it is tracked.</param>
/// <param name="Expires">Last day on which it holds.</param>
public sealed record Waiver(string Id, string? Hardware, string Reason, string Issue, DateOnly Expires)
{
    /// <summary>Whether it is about a case on a back end.</summary>
    /// <param name="id">Id of the case.</param>
    /// <param name="hardware">Name of the back end.</param>
    public bool Covers(string id, string hardware)
    {
        ArgumentNullException.ThrowIfNull(hardware);
        return Id == id && (Hardware is null || hardware == Hardware
            || (hardware.StartsWith(Hardware, StringComparison.Ordinal) && hardware[Hardware.Length] == '-'));
    }
}
