// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.Reference.Formats;

/// <summary>
/// The registers: offsets in bytes, and the layout of each. All are 64 bits wide and accessed as a whole. Reference
/// architecture, section 2.
/// </summary>
internal static class Registers
{
    public const int ID = 0x00;
    public const int CONTROL = 0x08;
    public const int DEVICE_TABLE = 0x10;
    public const int COMMAND_0 = 0x18;
    public const int COMMAND_1 = 0x20;
    public const int COMMAND_STATUS = 0x28;
    public const int FAULT_0 = 0x30;
    public const int FAULT_1 = 0x38;
    public const int FAULT_2 = 0x40;
}

/// <summary>ID, read only.</summary>
internal static class Id
{
    public const ulong Version = 1;

    public static readonly Layout Layout = new("reference/id", 64, "Reference architecture, section 2.1", [
        Fixed(VERSION, Version), PASIDBITS, ASIDBITS, C, ATS, FAULTS, Reserved(63, 24),
    ]);

    public static Field VERSION => new(3, 0, "VERSION", "version of the architecture");
    public static Field PASIDBITS => new(8, 4, "PASIDBITS", "widest PASID in bits, 0 (none) to 20");
    public static Field ASIDBITS => new(13, 9, "ASIDBITS", "width of an ASID in bits, 1 to 16");
    public static Field C => new(14, 14, "C", "coherent: the walker snoops the CPU's caches");
    public static Field ATS => new(15, 15, "ATS", "devices may keep translations");
    public static Field FAULTS => new(23, 16, "FAULTS", "fault records that are kept, 1 to 64");
}

internal static class Control
{
    public static readonly Layout Layout = new("reference/control", 64, "Reference architecture, section 2.2", [
        ENABLE, ENABLED, Reserved(63, 2),
    ]);

    public static Field ENABLE => new(0, 0, "ENABLE", "what software wants");
    public static Field ENABLED => new(1, 1, "ENABLED", "what the hardware does; read only");
}

internal static class DeviceTable
{
    /// <summary>Most entries, as a power of two: a PCI requester ID has 16 bits.</summary>
    public const int MostLog2 = 16;

    public static readonly Layout Layout = new("reference/device_table", 64, "Reference architecture, section 2.3", [
        LOG2, Reserved(11, 5), Address(BASE), Reserved(63, 52),
    ]);

    public static Field LOG2 => new(4, 0, "LOG2", "the table has 2^LOG2 device entries, 1 to 16");
    public static Field BASE => new(51, 12, "BASE", "the table");
}

/// <summary>COMMAND_STATUS, read only.</summary>
internal static class CommandStatus
{
    public static readonly Layout Layout = new("reference/command_status", 64, "Reference architecture, section 2.4", [
        DONE, ERROR, Reserved(63, 2),
    ]);

    public static Field DONE => new(0, 0, "DONE", "no command is running: the last one has taken effect, or failed");
    public static Field ERROR => new(1, 1, "ERROR", "the last command was ill-formed and did nothing");
}

/// <summary>FAULT_0 to FAULT_2: the oldest record.</summary>
internal static class FaultRecord
{
    public const int Words = 3;

    public static readonly Layout Layout = new("reference/fault_record", 192, "Reference architecture, section 2.5", [
        V, OVF, W, P, Reserved(7, 4),
        Value(CODE, FaultCodes.Names),
        PASID, Reserved(63, 36), ADDRESS, REQUESTER, Reserved(191, 160),
    ]);

    public static Field V => new(0, 0, "V", "there is a record; writing 1 gives way to the next one");
    public static Field OVF => new(1, 1, "OVF", "records were lost; writing 1 clears it");
    public static Field W => new(2, 2, "W", "the access wrote");
    public static Field P => new(3, 3, "P", "the request had a PASID");
    public static Field CODE => new(15, 8, "CODE", "why");
    public static Field PASID => new(35, 16, "PASID", "the request's PASID where P = 1");
    public static Field ADDRESS => new(127, 64, "ADDRESS", "byte address of the access");
    public static Field REQUESTER => new(159, 128, "REQUESTER", "who made it");
}
