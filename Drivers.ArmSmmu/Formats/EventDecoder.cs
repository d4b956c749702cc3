// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Formats;

/// <summary>Reads event records (Arm IHI 0070 7.3): which fields a record has, its event's layout says.</summary>
internal static class EventDecoder
{
    // CLASS in words, where the event has it; value 3 is a reserved encoding.
    private static readonly string[] s_classes =
        ["fetching a context descriptor", "reading a translation table", "the input address", "reserved CLASS 3"];

    private static readonly Shape?[] s_shapes = BuildShapes();

    /// <summary>Reads one record.</summary>
    public static IommuFault Decode(ReadOnlySpan<ulong> words)
    {
        int number = (int)words.Get(Events.ID);
        Shape? shape = s_shapes[number];
        bool hasPasid = shape is { AlwaysHasPasid: true }
            || (shape is { MayHavePasid: true } && words.Get(Events.SSV) == 1);
        return new IommuFault(
            shape is null ? null : new RequesterId((uint)words.Get(Events.SID)),
            hasPasid ? new Pasid((uint)words.Get(Events.SSID)) : null,
            shape is { HasInput: true } ? words.Get(Events.InputAddr) : null,
            shape is { HasDirection: true } ? words.Get(Events.RnW) == 0 : null,
            number,
            shape is null ? UnknownEvent(number) : shape.Reason(words),
            words.ToArray());
    }

    private static string UnknownEvent(int number) => Text($"event 0x{number:x2}, which is not defined");

    private static Shape?[] BuildShapes()
    {
        var shapes = new Shape?[256];
        foreach (Layout layout in Events.All)
        {
            var number = (int)layout.Fields[0].Constant;
            shapes[number] = new Shape(((SmmuEvent)number).ToString(), layout);
        }

        return shapes;
    }

    private sealed class Shape(string name, Layout layout)
    {
        private readonly string[]? _reasons = layout.Find(Events.CLASS.Mnemonic) is null
            ? null
            : [.. s_classes.SelectMany(c => new[] { $"{name}: {c}", $"{name}: {c}, stage 2" })];

        public bool HasInput { get; } = layout.Find(Events.InputAddr.Mnemonic) is not null;
        public bool HasDirection { get; } = layout.Find(Events.RnW.Mnemonic) is not null;
        public bool MayHavePasid { get; } = layout.Find(Events.SSV.Mnemonic) is not null;

        // C_BAD_SUBSTREAMID has an SSID and no SSV.
        public bool AlwaysHasPasid { get; } = layout.Find(Events.SSV.Mnemonic) is null
            && layout.Find(Events.SSID.Mnemonic) is not null;

        public string Reason(ReadOnlySpan<ulong> words) => _reasons is null
            ? name
            : _reasons[(words.Get(Events.CLASS) << 1) | words.Get(Events.S2)];
    }
}
