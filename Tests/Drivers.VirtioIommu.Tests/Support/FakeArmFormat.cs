// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Tests.Support;

/// <summary>
/// A small writer of context descriptor tables, so that the driver is tested without the SMMUv3 plug-in: linear up to
/// 6 bits, two-level with lazy 4 KiB leaves above.
/// </summary>
[PasidTableFormat("arm-smmuv3")]
public sealed class FakeArmFormat : IPasidTableFormat
{
    /// <summary>Whether it has quiet entries, as the real one does.</summary>
    public bool CanQuiet { get; set; } = true;

    /// <summary>A parameter that it forgets to give; null for none.</summary>
    public string? MissingParameter { get; set; }

    public string Name => "arm-smmuv3";

    public OpResult<IPasidTable> Create(IPhysicalMemory memory, int pasidBits, IPasidTableSync sync)
    {
        int entries = 1 << pasidBits;
        bool linear = pasidBits <= 6;
        int bytes = linear ? entries * 64 : Math.Max(64, entries / 64 * 8);
        OpResult<ulong> top = memory.AllocatePages(bytes, Math.Max(4096, bytes));
        return top.IsOk
            ? OpResult<IPasidTable>.Ok(new Table(this, memory, sync, pasidBits, linear, top.Value, bytes))
            : OpResult<IPasidTable>.Refuse(top.Outcome);
    }

    private sealed class Table(
        FakeArmFormat format,
        IPhysicalMemory memory,
        IPasidTableSync sync,
        int pasidBits,
        bool linear,
        ulong top,
        int bytes)
        : IPasidTable
    {
        private const ulong Valid = 1UL << 31;
        private const ulong Quieted = 1UL << 14;
        private const ulong Records = 1UL << 45;

        // EPD1, 48-bit output, AA64, A and T0SZ 16, as every descriptor here has them.
        private const ulong Common = (1UL << 30) | (5UL << 32) | (1UL << 41) | (1UL << 46) | 16;
        private readonly HashSet<Pasid> _confirmed = [];
        private readonly List<ulong> _leaves = [];
        public int PasidBits => pasidBits;
        public long TableBytes => ((bytes + 4095) & ~4095) + (_leaves.Count * 4096L);
        public int Leaves => _leaves.Count;

        public IReadOnlyDictionary<string, ulong> AttachParameters
        {
            get
            {
                ulong fmt = linear ? 0UL : 1;
                var all = new Dictionary<string, ulong>
                {
                    ["S1Fmt"] = fmt,
                    ["S1ContextPtr"] = top,
                    ["S1CDMax"] = (ulong)pasidBits,
                    ["S1DSS"] = 2,
                    ["STE0"] = 0b1011 | (fmt << 4) | top | ((ulong)pasidBits << 59),
                    ["STE1"] = 2,
                };
                if (format.MissingParameter is { } missing)
                {
                    all.Remove(missing);
                }

                return all;
            }
        }

        public bool CanQuiet => format.CanQuiet;

        public OpResult Set(Pasid pasid, in PasidTableEntry entry)
        {
            if (pasid.Value >> pasidBits != 0)
            {
                return OpResult.Refuse(Errno.EINVAL, $"PASID {pasid} is beyond {pasidBits} bits");
            }

            ulong address = Find(pasid);
            bool leaf = true;
            if (address == 0)
            {
                OpResult<ulong> page = memory.AllocatePages(4096);
                if (!page.IsOk)
                {
                    return page.Outcome;
                }

                _leaves.Add(page.Value);
                memory.WriteQword(top + (pasid.Value / 64 * 8), page.Value | 1);
                leaf = false;
                address = Find(pasid);
            }
            else if ((memory.ReadQword(address) & Valid) != 0)
            {
                return OpResult.Refuse(Errno.EEXIST, $"PASID {pasid} is installed");
            }

            memory.WriteQword(address + 8, entry.PageTableRoot);
            memory.WriteQword(address + 24, 0xFF);
            memory.WriteQword(address, Valid | Common | Records | ((ulong)entry.ArchId << 48));
            return sync.ConfigurationChanged(pasid, leaf);
        }

        public OpResult Quiet(Pasid pasid)
        {
            ulong address = Find(pasid);
            memory.WriteQword(address, (memory.ReadQword(address) | Quieted) & ~Records);
            OpResult result = sync.EntryRemoved(pasid, (uint)(memory.ReadQword(address) >> 48));
            if (result.IsOk)
            {
                _confirmed.Add(pasid);
            }

            return result;
        }

        public OpResult Clear(Pasid pasid)
        {
            ulong address = Find(pasid);
            ulong was = memory.ReadQword(address);
            if ((was & Valid) == 0)
            {
                return OpResult.Refuse(Errno.ENOENT, $"PASID {pasid} is not installed");
            }

            memory.WriteQword(address, 0);
            return _confirmed.Remove(pasid)
                ? sync.ConfigurationChanged(pasid, leafOnly: true)
                : sync.EntryRemoved(pasid, (uint)(was >> 48));
        }

        public void Dispose()
        {
            foreach (ulong leaf in _leaves)
            {
                memory.FreePages(leaf, 4096);
            }

            memory.FreePages(top, bytes);
        }

        private ulong Find(Pasid pasid)
        {
            if (linear)
            {
                return top + (pasid.Value * 64UL);
            }

            ulong level1 = memory.ReadQword(top + (pasid.Value / 64 * 8));
            return level1 == 0 ? 0 : (level1 & ~0xFFFUL) + (pasid.Value % 64 * 64UL);
        }
    }
}
