// SPDX-License-Identifier: Apache-2.0
using System.Numerics;

namespace PasidFramework.Drivers.IntelVtd.Emulation.Functional;

/// <content>Registers, by the descriptions of each in the specification.</content>
internal partial class VtdHardware
{
    private const uint StatusOfCommands = GlobalCommandBits.TE | GlobalCommandBits.QIE | GlobalCommandBits.IRE;
    private uint _gsts;
    private uint _fsts;
    private ulong _rtaddr;
    private ulong _latchedRtaddr;
    private ulong _iqh;
    private ulong _iqt;
    private ulong _iqa;
    private ulong _iqercd;
    private ulong _pqh;
    private ulong _pqt;
    private ulong _pqa;

    // The 64 bits at a multiple of 8, as they read.
    private ulong ReadAt(int offset) => offset switch
    {
        VtdRegisters.VER => 0x10,
        VtdRegisters.CAP => Capabilities,
        VtdRegisters.ECAP => ExtendedCapabilities,
        VtdRegisters.GCMD => (ulong)_gsts << 32,
        VtdRegisters.RTADDR => _rtaddr,
        VtdRegisters.FSTS & ~7 => (ulong)FaultStatus() << 32,
        VtdRegisters.IQH => _iqh,
        VtdRegisters.IQT => _iqt,
        VtdRegisters.IQA => _iqa,
        VtdRegisters.IQERCD => _iqercd,
        VtdRegisters.PQH => _pqh,
        VtdRegisters.PQT => _pqt,
        VtdRegisters.PQA => _pqa,
        _ when IsFaultRecord(offset) => _faults[(offset - VtdHardwareOptions.FaultRecordOffset) / 8],
        _ => 0,
    };

    private void WriteAt(int offset, ulong value)
    {
        switch (offset)
        {
            case VtdRegisters.GCMD:
                Command((uint)value);
                break;
            case VtdRegisters.RTADDR:
                _rtaddr = value;
                break;
            case VtdRegisters.FSTS & ~7:
                ClearFaultStatus((uint)(value >> 32));
                break;
            case VtdRegisters.IQT:
                _iqt = value & 0x7_FFF0;
                ConsumeQueue();
                break;
            case VtdRegisters.IQA:
                if ((_gsts & GlobalCommandBits.QIE) != 0)
                {
                    OnInvalidAccess(
                        "vtd-iqa", "IQA is written while the queue is enabled (Invalidation Queue Address Register)");
                }

                _iqa = value;
                break;
            case VtdRegisters.PQH:
                _pqh = value & 0x7_FFE0;
                break;
            case VtdRegisters.PQT:
                _pqt = value & 0x7_FFE0;
                break;
            case VtdRegisters.PQA:
                _pqa = value;
                break;
            default:
                // Write 1 to clear: only the F bit, in the second word of a record.
                if (IsFaultRecord(offset) && (offset & 8) != 0 && value >> 63 == 1)
                {
                    _faults[(offset - VtdHardwareOptions.FaultRecordOffset) / 8] &= ~(1UL << 63);
                }

                break;
        }
    }

    private void WriteHalf(int offset, uint value)
    {
        int at = offset & ~7;
        bool high = (offset & 4) != 0;
        if (at == VtdRegisters.GCMD || at == (VtdRegisters.FSTS & ~7) || IsFaultRecord(at))
        {
            // GCMD shares its word with read-only GSTS; in the others a 0 leaves a bit alone.
            if (at != VtdRegisters.GCMD || !high)
            {
                WriteAt(at, (ulong)value << (high ? 32 : 0));
            }

            return;
        }

        ulong other = ReadAt(at) & (high ? 0xFFFF_FFFFUL : ~0xFFFF_FFFFUL);
        WriteAt(at, other | ((ulong)value << (high ? 32 : 0)));
    }

    // Software may change one bit per write (Global Command Register); what more than one does is undefined: here,
    // nothing, so that a driver that breaks the rule waits in vain.
    private void Command(uint value)
    {
        uint changed = ((value & ~GlobalCommandBits.OneShot) ^ (_gsts & StatusOfCommands))
            | (value & GlobalCommandBits.OneShot);
        if (BitOperations.PopCount(changed) != 1)
        {
            int bits = BitOperations.PopCount(changed);
            OnInvalidAccess("vtd-gcmd", Text(
                $"GCMD 0x{value:x8} changes {bits} bits, one is allowed (Global Command Register)"));
            return;
        }

        switch (changed)
        {
            case GlobalCommandBits.TE:
                EnableChanges((_gsts & GlobalCommandBits.TE) == 0);
                Volatile.Write(ref _gsts, _gsts ^ GlobalCommandBits.TE);
                break;
            case GlobalCommandBits.SRTP:
                Volatile.Write(ref _latchedRtaddr, _rtaddr);
                _gsts |= GlobalCommandBits.SRTP;
                RootTableLatched();
                break;
            case GlobalCommandBits.QIE when ExtendedCapabilities.Get(Ecap.QI) == 1:
                _gsts ^= GlobalCommandBits.QIE;
                _iqh = 0;
                QueueSwitched();
                ConsumeQueue();
                break;
            case GlobalCommandBits.WBF:
                WriteBufferFlushes++;
                break;
            default:
                break;
        }
    }

    /// <summary>TE is about to change.</summary>
    protected virtual void EnableChanges(bool on)
    {
    }

    /// <summary>SRTP took a root table address.</summary>
    protected virtual void RootTableLatched()
    {
    }

    /// <summary>QIE has changed.</summary>
    protected virtual void QueueSwitched()
    {
    }

    /// <summary>The driver did what the specification forbids or leaves undefined.</summary>
    protected virtual void OnInvalidAccess(string rule, string message)
    {
    }

    /// <summary>Write buffer flushes that were asked for.</summary>
    internal int WriteBufferFlushes { get; private set; }

    private sealed class RegisterFile(VtdHardware hardware) : IRegisterFile
    {
        public uint Read32(int offset)
        {
            Check(offset, 4);
            return (uint)(Read64(offset & ~7) >> ((offset & 4) * 8));
        }

        public ulong Read64(int offset)
        {
            Check(offset, 8);
            hardware._gate.Enter();
            try
            {
                return hardware.ReadAt(offset);
            }
            finally
            {
                hardware._gate.Exit();
            }
        }

        public void Write32(int offset, uint value) => Write(offset, 4, value);
        public void Write64(int offset, ulong value) => Write(offset, 8, value);

        private void Write(int offset, int bytes, ulong value)
        {
            Check(offset, bytes);
            hardware._gate.Enter();
            try
            {
                if (bytes == 4)
                {
                    hardware.WriteHalf(offset, (uint)value);
                }
                else
                {
                    hardware.WriteAt(offset, value);
                }
            }
            finally
            {
                hardware._gate.Exit();
            }
        }

        private static void Check(int offset, int bytes)
        {
            if (offset < 0 || offset >= 4096 || (offset & (bytes - 1)) != 0)
            {
                throw new ArgumentOutOfRangeException(
                    nameof(offset), offset, $"A {bytes * 8}-bit register lies at a multiple of {bytes} below 4096.");
            }
        }
    }
}
