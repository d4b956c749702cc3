// SPDX-License-Identifier: Apache-2.0
using System.Numerics;

namespace PasidFramework.Benchmarks.Works;

/// <summary>Numbers that are free, first in first out. One thread's.</summary>
internal sealed class IndexRing
{
    private readonly int[] _items;
    private readonly int _mask;
    private int _head;
    private int _tail;

    /// <summary>Makes an empty ring.</summary>
    /// <param name="capacity">How many it may hold.</param>
    public IndexRing(int capacity)
    {
        _items = new int[BitOperations.RoundUpToPowerOf2((uint)Math.Max(1, capacity))];
        _mask = _items.Length - 1;
    }

    public int Take() => _items[_head++ & _mask];
    public void Put(int item) => _items[_tail++ & _mask] = item;
}
