// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Qemu.Vtd;

/// <summary>
/// The registers over QTest. The PASID width is the one that was asked for: QEMU 10.0 says 1 bit although its walker
/// takes all 20. Section numbers: Intel VT-d, D51397-018 (rev 5.10).
/// </summary>
/// <param name="pasidBits">Width to report, 0 (no PASIDs) to 20.</param>
internal sealed class VtdQemuRegisters(QTestClient client, ulong registers, int pasidBits) : IRegisterFile
{
    private const int Cap = 0x8;
    private const int Ecap = 0x10;
    private const int GlobalCommand = 0x18;
    private const int GlobalStatus = 0x1C;
    private const int RootTable = 0x20;
    private const int FaultStatus = 0x34;
    private const uint FaultBit = 1u << 31;
    private readonly Lock _faultGate = new();
    private readonly int _record = 16 * (int)((client.Read64(registers + Cap) >> 24) & 0x3FF);
    private bool _isBeingTaken;

    // Nobody but the devices causes records, and they access one at a time.
    private bool _mayHaveRecord = true;
    private ulong? _root;

    /// <summary>Byte address of the root table.</summary>
    public ulong Root
    {
        get
        {
            lock (_faultGate)
            {
                return (_root ??= client.Read64(registers + RootTable)) & ~0xFFFUL;
            }
        }
    }

    public uint Read32(int offset)
    {
        if ((offset & ~4) == Ecap)
        {
            return (uint)(Read64(Ecap) >> ((offset & 4) * 8));
        }

        lock (_faultGate)
        {
            uint value = client.Read32(registers + (ulong)offset);
            _isBeingTaken |= offset == _record + 12 && (value & FaultBit) != 0;
            return value;
        }
    }

    public ulong Read64(int offset)
    {
        lock (_faultGate)
        {
            ulong value = client.Read64(registers + (ulong)offset);
            _isBeingTaken |= offset == _record + 8 && value >> 63 != 0;
            return offset == Ecap ? Ecapability(value) : value;
        }
    }

    public void Write32(int offset, uint value)
    {
        lock (_faultGate)
        {
            client.Write32(registers + (ulong)offset, value);
            _root = (offset & ~7) == RootTable ? null : _root;
            _isBeingTaken &= offset != _record + 12 || (value & FaultBit) == 0;
        }
    }

    public void Write64(int offset, ulong value)
    {
        lock (_faultGate)
        {
            client.Write64(registers + (ulong)offset, value);
            _root = offset == RootTable ? null : _root;
            _isBeingTaken &= offset != _record + 8 || value >> 63 == 0;
        }
    }

    /// <summary>The fault record as it is, without a trace; F is bit 63 of the high word (section 11.4.14).</summary>
    public (ulong Low, ulong High) PeekFault()
    {
        lock (_faultGate)
        {
            ulong high = client.Read64(registers + (ulong)_record + 8);
            _mayHaveRecord = high >> 63 != 0;
            return high >> 63 == 0 ? (0, 0) : (client.Read64(registers + (ulong)_record), high);
        }
    }

    /// <summary>Clears the record and the overflow, unless a reader has read it and is about to do so.</summary>
    /// <returns>Whether there is no record now.</returns>
    public bool TryDiscardFault()
    {
        lock (_faultGate)
        {
            if (!_mayHaveRecord || client.Read64(registers + (ulong)_record + 8) >> 63 == 0)
            {
                _mayHaveRecord = false;
                return true;
            }

            if (_isBeingTaken)
            {
                return false;
            }

            client.Write32(registers + (ulong)_record + 12, FaultBit);
            _mayHaveRecord = false;
            client.Write32(registers + FaultStatus, client.Read32(registers + FaultStatus) & 1);
            return true;
        }
    }

    /// <summary>Sets the root pointer again: QEMU forgets everything that it has cached.</summary>
    public void DropCaches()
    {
        const uint SetRootPointer = 1u << 30;
        const uint Persistent = 0x96FF_FFFF;
        client.Write32(
            registers + GlobalCommand, (client.Read32(registers + GlobalStatus) & Persistent) | SetRootPointer);
    }

    // Section 11.4.3: PASID is bit 40, PSS (the width less one) bits 39:35.
    private ulong Ecapability(ulong value)
    {
        const int PssShift = 35;
        const ulong Pss = 0x1FUL << PssShift;
        const ulong Pasid = 1UL << 40;
        return pasidBits == 0 ? value & ~(Pss | Pasid) : (value & ~Pss) | ((ulong)(pasidBits - 1) << PssShift);
    }
}
