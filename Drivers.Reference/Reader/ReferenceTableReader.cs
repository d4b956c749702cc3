// SPDX-License-Identifier: Apache-2.0
using PasidFramework.DriverKit.Tables;

namespace PasidFramework.Drivers.Reference.Reader;

/// <summary>Reads device, PASID and page tables from memory. Reference architecture, section 3.</summary>
[TableReader("reference")]
public sealed class ReferenceTableReader : ITableReader
{
    public string Name => "reference";
    public IReadOnlyList<RootRegister> Registers { get; } =
        [new RootRegister("DEVICE_TABLE", true, "device table: base address, and log2 of its entries in bits 4:0")
        {
            Offset = Formats.Registers.DEVICE_TABLE,
        }];

    public OpResult<ITableView> Open(IMemoryReader memory, IReadOnlyDictionary<string, ulong> registers)
    {
        ArgumentNullException.ThrowIfNull(memory);
        OpResult known = TableRoots.Check(this, registers);
        if (!known.IsOk)
        {
            return OpResult<ITableView>.Refuse(known);
        }

        ulong root = registers["DEVICE_TABLE"];
        ulong log2 = root.Get(DeviceTable.LOG2);
        return DeviceTable.Layout.Check([root]).Count == 0 && log2 is >= 1 and <= DeviceTable.MostLog2
            ? OpResult<ITableView>.Ok(new ReferenceTableView(memory, root))
            : OpResult<ITableView>.Refuse(Errno.EINVAL,
                $"DEVICE_TABLE 0x{root:x} says LOG2 = {log2} (1 to 16) or has reserved bits set");
    }
}
