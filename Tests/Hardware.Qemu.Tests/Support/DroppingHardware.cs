// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Qemu.Tests.Support;

/// <summary>
/// Stands between a driver and a machine, and makes some of the driver's commands into ones that do nothing: a driver
/// that forgets them.
/// </summary>
/// <remarks>Names are whole: the file belongs to two projects, of which one has the namespace everywhere.</remarks>
internal sealed class DroppingHardware : PasidFramework.Hardware.IIommuHardware, PasidFramework.Hardware.IRegisterFile
{
    private readonly PasidFramework.Hardware.IIommuHardware _inner;
    private readonly Func<ulong, bool> _isDropped;
    private readonly int _doorbell;
    private readonly int _bytes;
    private readonly ulong _harmless;
    private ulong _queue;
    private uint _last;

    /// <param name="isVtd">VT-d, or SMMUv3.</param>
    /// <param name="isDropped">Whether a command is dropped, by its first word.</param>
    public DroppingHardware(PasidFramework.Hardware.IIommuHardware inner, bool isVtd, Func<ulong, bool> isDropped)
    {
        _inner = inner;
        _isDropped = isDropped;

        // VT-d: IQT; context-cache invalidation of a device that is not there. SMMUv3: CMDQ_PROD; CMD_PREFETCH_CONFIG.
        _doorbell = isVtd ? 0x88 : 0x98;
        _bytes = isVtd ? 32 : 16;
        _harmless = isVtd ? 0x0000_FFFF_0000_0031UL : 1;
    }

    public bool IsOn { get; set; }
    public int Dropped { get; private set; }
    public PasidFramework.Hardware.IPhysicalMemory Memory => _inner.Memory;
    public PasidFramework.Hardware.IRegisterFile Registers => this;
    public bool IsCoherent => _inner.IsCoherent;

    public PasidFramework.Hardware.TranslationResult Translate(in PasidFramework.Hardware.DmaAccess access) =>
        _inner.Translate(access);

    public uint Read32(int offset) => _inner.Registers.Read32(offset);
    public ulong Read64(int offset) => _inner.Registers.Read64(offset);

    public void Write32(int offset, uint value)
    {
        Watch(offset, value);
        _inner.Registers.Write32(offset, value);
    }

    public void Write64(int offset, ulong value)
    {
        // Both architectures have the address of the queue here.
        if (offset == 0x90)
        {
            _queue = value;
            _last = 0;
        }

        Watch(offset, value);
        _inner.Registers.Write64(offset, value);
    }

    public void Dispose()
    {
        // The machine belongs to the fixture.
    }

    private void Watch(int offset, ulong value)
    {
        if (offset != _doorbell)
        {
            return;
        }

        // VT-d: IQA has QS in 2:0 and DW in 11, IQT counts bytes. SMMUv3: LOG2SIZE in 4:0, PROD counts commands.
        bool isVtd = _doorbell == 0x88;
        uint bytes = isVtd && (_queue & 0x800) == 0 ? 16 : (uint)_bytes;
        uint size = isVtd ? (4096u << (int)(_queue & 7)) / bytes : 1u << (int)(_queue & 0x1F);
        ulong start = _queue & 0x000F_FFFF_FFFF_F000;
        uint end = (isVtd ? (uint)value / bytes : (uint)value) & (size - 1);
        for (; _last != end; _last = (_last + 1) & (size - 1))
        {
            ulong at = start + (_last * (ulong)bytes);
            if (IsOn && _isDropped(Memory.ReadQword(at)))
            {
                Memory.WriteQword(at + 8, 0);
                Memory.WriteQword(at, _harmless);
                Dropped++;
            }
        }
    }
}
