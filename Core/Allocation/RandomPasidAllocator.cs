// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Allocation;

/// <summary>
/// The first free PASID from a random point of the request's range on, with wrap: the adversary of lazily built
/// tables and sparse lookups. Unlike the debugging allocator of 2018, which gives up after some draws, it finds a
/// PASID whenever one is free.
/// </summary>
/// <remarks>
/// The starting point is uniform; the PASID is only while the range is nearly empty, later a PASID behind a long
/// run of live ones is likelier. One draw per success and none for a failure, so that a failure changes nothing (A5).
/// The generator is SplitMix64 (Steele, Lea, Flood 2014): the same seed gives the same PASIDs (A10).
/// </remarks>
public sealed class RandomPasidAllocator : BitmapPasidAllocator
{
    private Policy _policy;

    /// <summary>Makes an allocator with every PASID of a range free.</summary>
    /// <param name="range">The PASIDs it may allocate; may be empty.</param>
    /// <param name="seed">Any value; the same seed and calls give the same PASIDs.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range holds PASIDs of more than 20 bits.</exception>
    public RandomPasidAllocator(PasidRange range, ulong seed)
        : base(PasidAllocators.Random, range) => _policy = new Policy(seed);

    public override PasidAllocation Allocate(in PasidRequest request) => Allocate(ref _policy, in request);

    private protected override PasidAllocation AllocateUngated(in PasidRequest request) =>
        AllocateUngated(ref _policy, in request);

    private struct Policy(ulong seed) : IPickPolicy
    {
        private ulong _state = seed;

        public uint TakeAny(ref PasidBitmap map) =>
            map.Count == 0 ? PasidBitmap.None : TakeWithin(ref map, map.First, map.First + (uint)map.Count - 1);

        public uint TakeWithin(ref PasidBitmap map, uint first, uint last)
        {
            ulong state = _state + 0x9E37_79B9_7F4A_7C15;
            ulong draw = state;
            draw = (draw ^ (draw >> 30)) * 0xBF58_476D_1CE4_E5B9;
            draw = (draw ^ (draw >> 27)) * 0x94D0_49BB_1331_11EB;
            draw ^= draw >> 31;

            // The high half of draw * count; a range has at most 2^20 PASIDs, so none is favoured by more than 2^-44.
            uint start = first + (uint)Math.BigMul(draw, (ulong)(last - first) + 1, out _);
            uint pasid = map.FindNext(start, last);
            if (pasid == PasidBitmap.None && start > first)
            {
                pasid = map.FindNext(first, start - 1);
            }

            if (pasid != PasidBitmap.None)
            {
                map.Take(pasid);
                _state = state;
            }

            return pasid;
        }
    }
}
