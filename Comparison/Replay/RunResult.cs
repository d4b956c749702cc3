// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Replay;

/// <summary>The figures of one run.</summary>
public sealed record RunResult
{
    /// <summary>The policy's name.</summary>
    public required string Policy { get; init; }

    /// <summary>Bindings made.</summary>
    public int Binds { get; init; }

    /// <summary>Bindings ended: by unbind, exit, exec or the end of the trace.</summary>
    public int Unbinds { get; init; }

    /// <summary>Refused binds and unbinds by the kernel's errno, by name.</summary>
    public required IReadOnlyDictionary<string, int> Failures { get; init; }

    /// <summary>Binds that were not tried because the process had ended when they were due.</summary>
    public int SkippedBinds { get; init; }

    /// <summary>Most PASIDs live at one time, all spaces together.</summary>
    public int PeakLive { get; init; }

    /// <summary>How long PASIDs rested, all spaces together; each space counts its own frees.</summary>
    public required ReuseDistance ReuseDistance { get; init; }

    /// <summary>Address spaces that were bound at all.</summary>
    public int ProcessesBound { get; init; }

    /// <summary>Address spaces that at some time had different PASIDs on different devices.</summary>
    public int ProcessesWithDifferingPasids { get; init; }

    /// <summary>By driver, in ordinal order of their names.</summary>
    public required IReadOnlyList<DriverResult> Drivers { get; init; }

    /// <summary>By space, in ordinal order of their names.</summary>
    public required IReadOnlyList<SpaceResult> Spaces { get; init; }

    /// <summary>All failures together.</summary>
    public int FailureCount => Failures.Values.Sum();

    /// <summary>Peak table bytes of all drivers together.</summary>
    public long TableBytesPeak => Drivers.Sum(d => d.TableBytesPeak);
}
