// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestDrivers;

/// <summary>A third party's policy: lowest odd number first.</summary>
[PasidAllocator("odd")]
internal sealed class OddNumbersFactory : IPasidAllocatorFactory
{
    public IPasidAllocator Create(PasidRange range, ulong seed) => new OddNumbers(range);

    private sealed class OddNumbers(PasidRange range) : IPasidAllocator
    {
        private readonly Lock _gate = new();
        private readonly HashSet<uint> _live = [];
        private readonly HashSet<uint> _reserved = [];
        public string Name => "odd";
        public PasidRange Range => range;

        public int LiveCount
        {
            get
            {
                lock (_gate)
                {
                    return _live.Count;
                }
            }
        }

        public PasidAllocation Allocate(in PasidRequest request)
        {
            PasidRange within = range.Intersect(request.Range);
            if (within.IsEmpty)
            {
                return PasidAllocation.None(PasidAllocationStatus.InvalidRange);
            }

            lock (_gate)
            {
                for (uint value = within.First | 1; value <= within.Last; value += 2)
                {
                    if (!_reserved.Contains(value) && _live.Add(value))
                    {
                        return PasidAllocation.Of(value);
                    }
                }
            }

            return PasidAllocation.None(PasidAllocationStatus.NoSpace);
        }

        public PasidFreeStatus Free(Pasid pasid)
        {
            lock (_gate)
            {
                return _live.Remove(pasid.Value) ? PasidFreeStatus.Freed : PasidFreeStatus.NotAllocated;
            }
        }

        public bool TryReserve(Pasid pasid)
        {
            lock (_gate)
            {
                if (_live.Contains(pasid.Value))
                {
                    return false;
                }

                _reserved.Add(pasid.Value);
                return true;
            }
        }

        public bool IsLive(Pasid pasid)
        {
            lock (_gate)
            {
                return _live.Contains(pasid.Value);
            }
        }
    }
}
