// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Replay;

/// <summary>How long freed PASIDs rest before they mean another process.</summary>
/// <param name="Reuses">Allocations that returned a PASID which had been freed before.</param>
/// <param name="Minimum">Fewest frees in between, the PASID's own not counted; null where none was reused.</param>
/// <param name="Percentile01">1 % quantile (nearest rank) of these; null where none was reused.</param>
public sealed record ReuseDistance(int Reuses, long? Minimum, long? Percentile01)
{
    /// <summary>Of the distances of all reuses.</summary>
    internal static ReuseDistance Of(List<long> distances)
    {
        if (distances.Count == 0)
        {
            return new ReuseDistance(0, null, null);
        }

        distances.Sort();
        int rank = Math.Max(1, (distances.Count + 99) / 100);
        return new ReuseDistance(distances.Count, distances[0], distances[rank - 1]);
    }
}

/// <summary>What one driver did in a run, all of its units together.</summary>
public sealed record DriverResult
{
    /// <summary>Name of the driver.</summary>
    public required string Name { get; init; }

    /// <summary>Most bytes in PASID tables after any call.</summary>
    public long TableBytesPeak { get; init; }

    /// <summary>Bytes in PASID tables after the last process ended.</summary>
    public long TableBytesFinal { get; init; }

    /// <summary>Commands of unbinds and exits.</summary>
    public long Commands { get; init; }

    /// <summary>Commands of binds, refused ones included.</summary>
    public long CommandsBind { get; init; }

    /// <summary>Commands until the system stood.</summary>
    public long CommandsSetup { get; init; }

    /// <summary>All of these together.</summary>
    public long CommandsTotal => Commands + CommandsBind + CommandsSetup;

    /// <summary>Bindings made.</summary>
    public int Binds { get; init; }

    /// <summary>Bindings ended, by whatever cause.</summary>
    public int Unbinds { get; init; }

    /// <summary>Binds and unbinds refused.</summary>
    public int Failures { get; init; }

    /// <summary><see cref="Commands"/> by <see cref="Unbinds"/>, to four digits; 0 where there were none.</summary>
    public double CommandsPerUnbind => Unbinds == 0 ? 0 : Math.Round((double)Commands / Unbinds, 4);
}

/// <summary>What happened in one PASID space in a run.</summary>
public sealed record SpaceResult
{
    /// <summary>Name of the space.</summary>
    public required string Name { get; init; }

    /// <summary>PASIDs taken.</summary>
    public int Allocations { get; init; }

    /// <summary>PASIDs given back.</summary>
    public int Frees { get; init; }

    /// <summary>Most PASIDs live at one time.</summary>
    public int PeakLive { get; init; }

    /// <summary>Largest PASID that was taken.</summary>
    public uint HighestPasid { get; init; }

    /// <summary>How long PASIDs rested.</summary>
    public required ReuseDistance ReuseDistance { get; init; }
}

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
