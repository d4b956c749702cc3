// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Unit;

/// <summary>What a unit's ID registers say, as far as the driver asks (Arm IHI 0070 6.3).</summary>
internal sealed record SmmuCapabilities
{
    /// <summary>PASID width in bits, 1 to 20: the smaller one of IDR1.SSIDSIZE and the limit.</summary>
    public required int PasidBits { get; init; }
    public required int SidBits { get; init; }

    /// <summary>8 or 16.</summary>
    public required int AsidBits { get; init; }
    public required int OutputSize { get; init; }
    public required int CommandQueueLog2 { get; init; }
    public required int EventQueueLog2 { get; init; }
    public required bool HasTwoLevelStreams { get; init; }
    public required bool HasAts { get; init; }
    public required bool HasRange { get; init; }

    /// <summary>What context descriptors say: IPS is limited to the 48 bits that 4 KiB pages reach without
    /// DS.</summary>
    public CdSettings Descriptors => new(AsidBits, Math.Min(OutputSize, 5));

    /// <summary>Reads the registers.</summary>
    /// <param name="pasidBits">Upper limit for the PASID width in bits, 1 to 20.</param>
    /// <returns>The capabilities; or ENODEV, naming the field that lacks something this driver needs.</returns>
    public static OpResult<SmmuCapabilities> Read(IRegisterFile registers, int pasidBits)
    {
        ulong idr0 = registers.Read32(Registers.IDR0);
        ulong idr1 = registers.Read32(Registers.IDR1);
        ulong idr3 = registers.Read32(Registers.IDR3);
        ulong idr5 = registers.Read32(Registers.IDR5);
        ulong formats = idr0.Get(IdRegisters.TTF);
        int substreamBits = (int)idr1.Get(IdRegisters.SSIDSIZE);
        foreach ((bool isMet, string field, ulong value, string why) in new (bool, string, ulong, string)[]
        {
            (idr0.Has(IdRegisters.S1P), "IDR0.S1P", 0, "there is no stage 1"),
            (formats is 2 or 3, "IDR0.TTF", formats, "AArch64 page tables are needed (2)"),
            (idr0.Get(IdRegisters.STALL_MODEL) != 2, "IDR0.STALL_MODEL", 2, "forced stalls are not handled"),
            (idr5.Has(IdRegisters.GRAN4K), "IDR5.GRAN4K", 0, "4 KiB pages are needed"),
            (!idr1.Has(IdRegisters.TABLES_PRESET), "IDR1.TABLES_PRESET", 1, "fixed table bases are not supported"),
            (!idr1.Has(IdRegisters.QUEUES_PRESET), "IDR1.QUEUES_PRESET", 1, "fixed queue bases are not supported"),
            (substreamBits != 0, "IDR1.SSIDSIZE", 0, "there are no substreams, so no PASIDs"),
        })
        {
            if (!isMet)
            {
                return Lacks(field, value, why);
            }
        }

        int width = Math.Min(Math.Min(substreamBits, pasidBits), Pasid.MaxBits);
        if (width > CdTable.LinearBits && idr0.Get(IdRegisters.CD2L) == 0)
        {
            return Lacks("IDR0.CD2L", 0, Text(
                $"PASIDs of {width} bits need two-level tables; limit the unit to {CdTable.LinearBits} bits"));
        }

        return OpResult<SmmuCapabilities>.Ok(new SmmuCapabilities
        {
            PasidBits = width,
            SidBits = (int)Math.Min(32, idr1.Get(IdRegisters.SIDSIZE)),
            AsidBits = idr0.Get(IdRegisters.ASID16) != 0 ? 16 : 8,
            OutputSize = (int)idr5.Get(IdRegisters.OAS),
            CommandQueueLog2 = (int)Math.Min(19, idr1.Get(IdRegisters.CMDQS)),
            EventQueueLog2 = (int)Math.Min(19, idr1.Get(IdRegisters.EVTQS)),
            HasTwoLevelStreams = idr0.Get(IdRegisters.ST_LEVEL) == 1,
            HasAts = idr0.Get(IdRegisters.ATS) != 0,
            HasRange = idr3.Get(IdRegisters.RIL) != 0,
        });
    }

    private static OpResult<SmmuCapabilities> Lacks(string field, ulong value, string why) =>
        OpResult<SmmuCapabilities>.Refuse(Errno.ENODEV, $"{field} is {value}: {why}");
}
