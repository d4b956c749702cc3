// SPDX-License-Identifier: Apache-2.0
using System.Composition;
using PasidFramework.DriverKit.Tables;

namespace PasidFramework.Drivers.VirtioIommu.Reader;

/// <summary>Reads a PASID table that was attached to a virtio-iommu by proposal B or E: context descriptors in Arm
/// SMMUv3 format and the stage 1 page tables behind them, by the reader of that format, which is imported by
/// name.</summary>
/// <remarks>A domain of mappings has no table: its MAP requests are in the device only.</remarks>
[TableReader("virtio-iommu")]
public sealed class VirtioTableReader : ITableReader
{
    /// <summary>Contract name of the reader of attached tables.</summary>
    public const string ArmReader = TableReaderAttribute.ImportPrefix + AttachedStructures.FormatName;

    private static readonly RootRegister[] s_registers =
    [
        new("s1contextptr", false, "proposal B: byte address of the table, a multiple of 64; or give ste0"),
        new("s1fmt", false, "proposal B: 0 linear, 1 two-level with 4 KiB leaves, 2 two-level with 64 KiB leaves; 0"),
        new("s1cdmax", false, "proposal B: log2 of the number of context descriptors, 0 to 20; 0"),
        new("s1dss", false, "proposal B: requests without PASID: 0 terminated, 1 bypass, 2 descriptor 0; 0"),
        new("ste0", false, "proposal E: word 0 of the stream table entry; with it none of the s1 parameters"),
        new("ste1", false, "proposal E: word 1 of the stream table entry, of which S1DSS counts; 0"),
        new("endpoint", false, "the endpoint whose table it is; by default it is every endpoint's"),
    ];

    // Names of the SMMUv3 reader for the parameters above, in their order.
    private static readonly string[] s_foreign = ["S1ContextPtr", "S1Fmt", "S1CDMax", "S1DSS", "STE0", "STE1", "SID"];

    /// <summary>The reader of such tables; null where no plug-in exports it.</summary>
    [Import(ArmReader, AllowDefault = true)]
    public ITableReader? ArmSmmuV3Reader { get; set; }
    public string Name => "virtio-iommu";
    public IReadOnlyList<RootRegister> Registers => s_registers;
    public IReadOnlyList<Layout> Structures => ArmSmmuV3Reader?.Structures ?? [];

    /// <remarks>Exactly one of <c>s1contextptr</c> and <c>ste0</c> is needed.</remarks>
    public OpResult<ITableView> Open(IMemoryReader memory, IReadOnlyDictionary<string, ulong> registers)
    {
        ArgumentNullException.ThrowIfNull(memory);
        OpResult known = TableRoots.Check(this, registers);
        if (!known.IsOk)
        {
            return OpResult<ITableView>.Refuse(known);
        }

        bool isE = registers.ContainsKey("ste0");
        if (isE == registers.ContainsKey("s1contextptr")
            || (isE && registers.Keys.Any(name => name is "s1fmt" or "s1cdmax" or "s1dss"))
            || (!isE && registers.ContainsKey("ste1")))
        {
            return Invalid(
                $"give s1contextptr with s1fmt, s1cdmax and s1dss (proposal B), or ste0 with ste1 (proposal E)");
        }

        if (ArmSmmuV3Reader is null)
        {
            return OpResult<ITableView>.Refuse(
                Errno.EOPNOTSUPP, $"no plug-in exports the reader of '{AttachedStructures.FormatName}' tables");
        }

        var foreign = new Dictionary<string, ulong>(StringComparer.Ordinal);
        for (int i = 0; i < s_registers.Length; i++)
        {
            if (registers.TryGetValue(s_registers[i].Name, out ulong value))
            {
                foreign[s_foreign[i]] = value;
            }
        }

        OpResult<ITableView> view = ArmSmmuV3Reader.Open(memory, foreign);
        return view.IsOk
            ? OpResult<ITableView>.Ok(new AttachedTableView(view.Value))
            : OpResult<ITableView>.Refuse(view.Errno, $"virtio-iommu table: {view.Reason}");
    }

    private static OpResult<ITableView> Invalid(InvariantText why) => OpResult<ITableView>.Refuse(
        Errno.EINVAL, "virtio-iommu table: " + Text(why));

    /// <summary>An attached table: the same items, and faults by the reasons of a virtio-iommu.</summary>
    private sealed class AttachedTableView(ITableView table) : ITableView
    {
        public IEnumerable<TableItem> Items(int maxItems = 1 << 20) => table.Items(maxItems);

        public TableWalk Walk(in DmaAccess access)
        {
            TableWalk walk = table.Walk(access);
            return walk.Result.Status != TranslationStatus.Faulted ? walk : walk with
            {
                Result = walk.Result with
                {
                    FaultCode = (int)(walk.IsConfigured ? FaultReason.Mapping : FaultReason.Domain),
                },
            };
        }
    }
}
