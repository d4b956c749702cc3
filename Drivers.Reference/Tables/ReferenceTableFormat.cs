using PasidFramework.Contracts;
using PasidFramework.Hardware;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Drivers.Reference.Tables;

/// <summary>
/// The PASID table alone, for a driver that attaches such a table without knowing who writes it. The unit does the same
/// with the same <see cref="PasidTable"/> and its own commands.
/// </summary>
[PasidTableFormat(FormatName)]
public sealed class ReferenceTableFormat : IPasidTableFormat
{
    /// <summary>Name of the format.</summary>
    public const string FormatName = "reference";

    /// <inheritdoc/>
    public string Name => FormatName;

    /// <inheritdoc/>
    public OpResult<IPasidTable> Create(IPhysicalMemory memory, int pasidBits, IPasidTableSync sync)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentNullException.ThrowIfNull(sync);
        if (pasidBits is < 1 or > Pasid.MaxBits)
        {
            return OpResult<IPasidTable>.Refuse(Errno.EINVAL, $"a table of {pasidBits} bits, must be 1 to {Pasid.MaxBits}");
        }

        OpResult<PasidTable> table = PasidTable.Create(memory, pasidBits);
        return table.IsOk
            ? OpResult<IPasidTable>.Ok(new Writer(table.Value, sync))
            : OpResult<IPasidTable>.Refuse(table.Outcome);
    }

    private sealed class Writer(PasidTable table, IPasidTableSync sync) : IPasidTable
    {
        // The tag of each entry, to say whose translations go with it.
        private readonly Dictionary<Pasid, uint> _tags = [];
        private bool _disposed;

        public int PasidBits => table.PasidBits;

        public long TableBytes => table.Bytes;

        public int Leaves => table.Leaves;

        /// <summary>Fields of the device entry that points here (reference architecture, section 3.1).</summary>
        public IReadOnlyDictionary<string, ulong> AttachParameters { get; } = new Dictionary<string, ulong>
        {
            ["TABLE"] = table.Root,
            ["WIDTH"] = (ulong)table.PasidBits,
        };

        public OpResult Set(Pasid pasid, in PasidTableEntry entry)
        {
            OpResult<bool> installed = table.Install(pasid, entry.PageTableRoot, entry.ArchId);
            if (!installed.IsOk)
            {
                return installed.Outcome;
            }

            _tags[pasid] = entry.ArchId;
            return sync.ConfigurationChanged(pasid, leafOnly: !installed.Value);
        }

        public OpResult Quiet(Pasid pasid)
        {
            if (!_tags.TryGetValue(pasid, out uint tag))
            {
                return Missing(pasid);
            }

            table.Silence(pasid);
            return Tell(pasid, tag);
        }

        public OpResult Clear(Pasid pasid)
        {
            if (!_tags.Remove(pasid, out uint tag))
            {
                return Missing(pasid);
            }

            table.Clear(pasid);
            return Tell(pasid, tag);
        }

        public void Dispose()
        {
            if (!_disposed)
            {
                _disposed = true;
                table.Free();
            }
        }

        private static OpResult Missing(Pasid pasid) => OpResult.Refuse(Errno.ENOENT, $"PASID {pasid} has no entry");

        // Both are told, whatever the first one answers: what is not confirmed must not be used again.
        private OpResult Tell(Pasid pasid, uint tag)
        {
            OpResult entry = sync.ConfigurationChanged(pasid, leafOnly: true);
            OpResult translations = sync.TranslationsChanged(pasid, tag);
            return entry.IsOk ? translations : entry;
        }
    }
}
