// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Records;

/// <summary>What the bits of a field are.</summary>
public enum FieldKind
{
    /// <summary>A number.</summary>
    Value,

    /// <summary>The upper bits of a byte address; given and shown as the byte address.</summary>
    Address,

    /// <summary>Must be 0; anything else is a violation.</summary>
    Reserved,

    /// <summary>Ignored by the hardware; any value is accepted, encoders write 0.</summary>
    Ignored,

    /// <summary>A fixed value that makes the structure what it is (type, opcode): implied when encoding.</summary>
    Constant,
}
