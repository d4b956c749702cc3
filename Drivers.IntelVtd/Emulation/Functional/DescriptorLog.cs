// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.IntelVtd.Emulation.Functional;

/// <summary>The last descriptors that were consumed, oldest first. Not safe while the queue runs.</summary>
internal sealed class DescriptorLog
{
    public const int Capacity = 1024;

    private readonly ulong[] _words = new ulong[Capacity * Invalidation.Words];
    public long Total { get; private set; }

    public void Add(ReadOnlySpan<ulong> descriptor)
    {
        descriptor.CopyTo(_words.AsSpan((int)(Total % Capacity) * Invalidation.Words));
        Total++;
    }

    /// <summary>The descriptors from number <paramref name="from"/> on, counted from 0.</summary>
    /// <exception cref="ArgumentOutOfRangeException">They are not kept any more.</exception>
    public ulong[][] Since(long from)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(from, Math.Max(0, Total - Capacity));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(from, Total);
        var result = new ulong[Total - from][];
        for (long i = from; i < Total; i++)
        {
            result[i - from] = _words.AsSpan((int)(i % Capacity) * Invalidation.Words, Invalidation.Words).ToArray();
        }

        return result;
    }
}
