// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Benchmarks.Measuring;

/// <summary>How much is measured.</summary>
internal sealed record Effort
{
    /// <summary>What figures are taken with.</summary>
    public static Effort Full { get; } = new();

    /// <summary>What shows in a second that a row works; its figures mean nothing.</summary>
    public static Effort Mini { get; } = new()
    {
        Lap = 1 << 12,
        Segment = 1 << 8,
        WarmUp = 1_000_000,
        Limit = 2_000_000,
        SlowLimit = 4_000_000,
        Space = 1 << 12,
        Lives = [0, 100, 200, (1 << 12) - 1],
        BindLives = [0, 100, 200],
        Pending = [20, 40],
    };

    /// <summary>Operations of a case: a full revolution of a cyclic cursor.</summary>
    public int Lap { get; init; } = Numbers.Space;

    /// <summary>Operations of one of the timed segments, of which the median counts.</summary>
    public int Segment { get; init; } = Numbers.Space / 16;

    /// <summary>Nanoseconds of warming up before the cases of a row.</summary>
    public long WarmUp { get; init; } = 200_000_000;

    /// <summary>Nanoseconds after which a slow case ends.</summary>
    public long Limit { get; init; } = 60_000_000;

    /// <summary>The same where an operation costs microseconds.</summary>
    public long SlowLimit { get; init; } = 300_000_000;

    /// <summary>PASIDs of the whole space.</summary>
    public int Space { get; init; } = Numbers.Space;

    /// <summary>Live IDs: none, few, many, one short of full.</summary>
    public IReadOnlyList<int> Lives { get; init; } = [0, 1000, 65536, Numbers.Space - 1];

    /// <summary>Live bindings.</summary>
    public IReadOnlyList<int> BindLives { get; init; } = [0, 1000, 65536];

    /// <summary>Processes that wait for a reader.</summary>
    public IReadOnlyList<int> Pending { get; init; } = [1000, 32000];

    /// <summary>Threads beside one.</summary>
    public IReadOnlyList<int> Threads { get; init; } = [2, 4, 8];
}
