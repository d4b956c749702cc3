// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

namespace PasidFramework.Allocation;

/// <summary>The search of <see cref="CyclicPasidAllocator"/>.</summary>
internal struct CyclicPolicy : IPickPolicy
{
    // Index of the PASID behind the last one taken; 0 behind the range's last, which is what a search makes of it.
    private uint _cursor;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public uint TakeAny(ref PasidBitmap map)
    {
        uint index = map.TakeNextIndex(_cursor);
        if (index == PasidBitmap.None)
        {
            index = map.TakeNextIndex(0);
            if (index == PasidBitmap.None)
            {
                return PasidBitmap.None;
            }
        }

        uint next = index + 1;
        _cursor = next != (uint)map.Count ? next : 0;
        return map.First + index;
    }

    public uint TakeWithin(ref PasidBitmap map, uint first, uint last)
    {
        uint cursor = map.First + _cursor;
        uint start = cursor >= first && cursor <= last ? cursor : first;
        uint pasid = map.FindNext(start, last);
        if (pasid == PasidBitmap.None && start > first)
        {
            pasid = map.FindNext(first, start - 1);
        }

        if (pasid != PasidBitmap.None)
        {
            map.Take(pasid);
            uint next = pasid - map.First + 1;
            _cursor = next != (uint)map.Count ? next : 0;
        }

        return pasid;
    }
}
