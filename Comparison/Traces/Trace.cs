// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Traces;

/// <summary>A trace that was read whole.</summary>
public sealed record Trace : IDisposable
{
    /// <summary>The file's name without its folder.</summary>
    public required string File { get; init; }

    /// <summary>SHA-256 of the file as it lies on disk, in lower case hexadecimal.</summary>
    public required string Sha256 { get; init; }

    /// <summary>
    /// The events in order of time, those of one time in the order of the file; never empty, and read anew at each
    /// enumeration.
    /// </summary>
    public required IReadOnlyCollection<TraceEvent> Events { get; init; }

    /// <summary>Lines that say that events were lost.</summary>
    public int LostGaps { get; init; }

    /// <summary>Events that those lines say are missing; a line without a number adds nothing.</summary>
    public long LostEvents { get; init; }

    /// <summary>Well-formed lines of other tracepoints, which were passed over.</summary>
    public int IgnoredEvents { get; init; }

    /// <summary>Events whose time is before that of the line above; they were put in order.</summary>
    public int OutOfOrder { get; init; }

    /// <summary>Line of the first of those, 0 where there is none.</summary>
    public int FirstOutOfOrderLine { get; init; }

    /// <summary>Time of the first event in nanoseconds on the trace's clock.</summary>
    public required long FirstNanoseconds { get; init; }

    /// <summary>Time of the last event in nanoseconds on the trace's clock.</summary>
    public required long LastNanoseconds { get; init; }

    /// <summary>Removes the temporary data.</summary>
    public void Dispose() => (Events as IDisposable)?.Dispose();
}
