// SPDX-License-Identifier: Apache-2.0
using System.Composition;

namespace PasidFramework.TestDrivers;

/// <summary>A table of one page-table root per number, 8 bytes each, 0 for none.</summary>
[PasidTableFormat(FormatName)]
[Shared]
internal sealed class GoodTableFormat : IPasidTableFormat, IDisposable
{
    public const string FormatName = "good-table";
    public string Name => FormatName;

    public OpResult<IPasidTable> Create(IPhysicalMemory memory, int pasidBits, IPasidTableSync sync)
    {
        if (pasidBits is < 1 or > Pasid.MaxBits)
        {
            return OpResult<IPasidTable>.Refuse(Errno.EINVAL, $"{pasidBits} bits, 1 to {Pasid.MaxBits} are expected");
        }

        OpResult<ulong> pages = memory.AllocatePages(8 << pasidBits);
        return pages.IsOk
            ? OpResult<IPasidTable>.Ok(new GoodTable(memory, pages.Value, pasidBits, sync))
            : OpResult<IPasidTable>.Refuse(pages.Outcome);
    }

    public void Dispose() => AppContext.SetData($"{GetType().Assembly.Location}#{nameof(GoodTableFormat)}", "disposed");

    private sealed class GoodTable(IPhysicalMemory memory, ulong address, int pasidBits, IPasidTableSync sync)
        : IPasidTable
    {
        public int PasidBits => pasidBits;
        public long TableBytes => 8L << pasidBits;
        public int Leaves => 1;
        public IReadOnlyDictionary<string, ulong> AttachParameters { get; } =
            new Dictionary<string, ulong> { ["Base"] = address };

        public OpResult Set(Pasid pasid, in PasidTableEntry entry)
        {
            if (pasid.Value >> pasidBits != 0)
            {
                return OpResult.Refuse(Errno.EINVAL, $"{pasid} needs more than {pasidBits} bits");
            }

            if (memory.ReadQword(At(pasid)) != 0)
            {
                return OpResult.Refuse(Errno.EEXIST, $"{pasid} has an entry already");
            }

            memory.WriteQword(At(pasid), entry.PageTableRoot | 1);
            memory.Flush(At(pasid), 8);
            return sync.ConfigurationChanged(pasid, leafOnly: true);
        }

        public OpResult Quiet(Pasid pasid) => Clear(pasid);

        public OpResult Clear(Pasid pasid)
        {
            memory.WriteQword(At(pasid), 0);
            memory.Flush(At(pasid), 8);
            return sync.ConfigurationChanged(pasid, leafOnly: true);
        }

        public void Dispose() => memory.FreePages(address, 8 << pasidBits);
        private ulong At(Pasid pasid) => address + ((ulong)pasid.Value << 3);
    }
}
