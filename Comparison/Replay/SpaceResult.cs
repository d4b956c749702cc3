// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Replay;

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
