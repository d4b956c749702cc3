// SPDX-License-Identifier: Apache-2.0
// Arm IHI 0070 (SMMUv3), issue H.a era, chapter 6 "Memory map and registers". Offsets are from the start of page 0;
// page 1 begins 0x10000 bytes after it.

namespace PasidFramework.Drivers.ArmSmmu.Formats;

/// <summary>Byte offsets of registers and the fields of those that are not ID registers.</summary>
internal static class Registers
{
    public const int IDR0 = 0x0;
    public const int IDR1 = 0x4;
    public const int IDR3 = 0xC;
    public const int IDR5 = 0x14;
    public const int CR0 = 0x20;
    public const int CR0ACK = 0x24;
    public const int CR1 = 0x28;
    public const int CR2 = 0x2C;
    public const int GBPA = 0x44;
    public const int IRQ_CTRL = 0x50;
    public const int GERROR = 0x60;
    public const int GERRORN = 0x64;
    public const int STRTAB_BASE = 0x80;
    public const int STRTAB_BASE_CFG = 0x88;
    public const int CMDQ_BASE = 0x90;
    public const int CMDQ_PROD = 0x98;
    public const int CMDQ_CONS = 0x9C;
    public const int EVENTQ_BASE = 0xA0;
    public const int Page1 = 0x10000;
    public const int EVENTQ_PROD = Page1 + 0xA8;
    public const int EVENTQ_CONS = Page1 + 0xAC;

    /// <summary>CR1: tables and queues are inner shareable, write-back memory.</summary>
    public const uint CR1WriteBackShareable = 0x0D75;

    public const uint CR0_SMMUEN = 1u << 0;
    public const uint CR0_EVTQEN = 1u << 2;
    public const uint CR0_CMDQEN = 1u << 3;
    public const uint CR0_ATSCHK = 1u << 4;

    /// <summary>CR0: anything that CR1's attributes are in use for.</summary>
    public const uint CR0_InUse = CR0_SMMUEN | CR0_EVTQEN | CR0_CMDQEN;

    public const uint CR2_RECINVSID = 1u << 1;
    public const uint CR2_PTM = 1u << 2;
    public const uint GBPA_ABORT = 1u << 20;
    public const uint GBPA_UPDATE = 1u << 31;
    public const uint GERROR_CMDQ_ERR = 1u << 0;

    /// <summary>Bit 31 of the event queue's producer: toggles when records were lost.</summary>
    public const uint QueueOverflow = 1u << 31;

    /// <summary>STRTAB_BASE, CMDQ_BASE, EVENTQ_BASE: allocate on read.</summary>
    public static Field BASE_RA => new(62, 62, "RA");
    public static Field STRTAB_ADDR => new(51, 6, "ADDR");
    public static Field STRTAB_LOG2SIZE => new(5, 0, "LOG2SIZE");
    public static Field STRTAB_SPLIT => new(10, 6, "SPLIT");
    public static Field STRTAB_FMT => new(17, 16, "FMT");
    public static Field QUEUE_ADDR => new(51, 5, "ADDR");
    public static Field QUEUE_LOG2SIZE => new(4, 0, "LOG2SIZE");
    public static Field CMDQ_CONS_ERR => new(30, 24, "ERR");
    public const int CERROR_ILL = 1;
    public const int CERROR_ABT = 2;
    public const int CERROR_ATC_INV_SYNC = 3;

    /// <summary>The value of CMDQ_BASE or EVENTQ_BASE.</summary>
    public static ulong QueueBase(ulong address, int log2) =>
        0UL.WithAddress(QUEUE_ADDR, address).With(QUEUE_LOG2SIZE, (ulong)log2).With(BASE_RA, 1);

    /// <summary>The name of a code in CMDQ_CONS.ERR (Arm IHI 0070 4.1.3, 7.1).</summary>
    public static string CommandErrorName(int code) => code switch
    {
        0 => "CERROR_NONE",
        CERROR_ILL => nameof(CERROR_ILL),
        CERROR_ABT => nameof(CERROR_ABT),
        CERROR_ATC_INV_SYNC => nameof(CERROR_ATC_INV_SYNC),
        _ => "an unknown code",
    };
}
