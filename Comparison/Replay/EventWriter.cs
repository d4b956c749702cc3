// SPDX-License-Identifier: Apache-2.0
using System.Buffers;
using System.Text.Json;

namespace PasidFramework.Comparison.Replay;

/// <summary>Writes what happens as JSON, one object a line; the keys are described with <c>--events</c>.</summary>
internal sealed class EventWriter : IReplaySink, IDisposable
{
    private const int FlushBytes = 1 << 16;
    private readonly Stream _stream;
    private readonly ArrayBufferWriter<byte> _buffer = new(FlushBytes * 2);
    private readonly Utf8JsonWriter _json;
    private string _policy = string.Empty;
    private IReadOnlyList<string> _drivers = [];
    private long[] _tableBytes = [];

    public EventWriter(Stream stream)
    {
        _stream = stream;
        _json = new Utf8JsonWriter(_buffer, new JsonWriterOptions
        {
            Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            SkipValidation = true,
        });
    }

    public void Begin(Policy policy, IReadOnlyList<string> drivers)
    {
        _policy = policy.Name;
        _drivers = drivers;
        _tableBytes = new long[drivers.Count];
    }

    public void Add(ReplayEvent happened)
    {
        _json.WriteStartObject();
        _json.WriteString("kind", NameOf(happened.Kind));
        _json.WriteString("policy", _policy);
        _json.WritePropertyName("time");
        WriteSeconds(happened.Nanoseconds);
        _json.WriteNumber("call", happened.Call);
        _json.WriteString("operation", NameOf(happened.Operation));
        WriteText("space", happened.Space);
        if (happened.Pasid is { } pasid)
        {
            _json.WriteNumber("pasid", pasid.Value);
        }

        if (happened.Process is { } process)
        {
            _json.WriteNumber("process", process.Number);
            _json.WriteNumber("pid", process.Pid);
            _json.WriteString("name", process.Name);
        }

        WriteText("tenant", string.IsNullOrEmpty(happened.Tenant) ? null : happened.Tenant);
        WriteText("device", happened.Device);
        WriteText("driver", happened.Driver);
        WriteText("errno", happened.Errno == Errno.None ? null : happened.Errno.ToString());
        WriteText("reason", happened.Reason);
        WriteText("cause", happened.Cause);
        WriteDrivers(happened);
        _json.WriteEndObject();
        _json.Flush();
        _json.Reset();
        _buffer.GetSpan(1)[0] = (byte)'\n';
        _buffer.Advance(1);
        if (_buffer.WrittenCount >= FlushBytes)
        {
            Flush();
        }
    }

    public void Ended(SimulatedAddressSpace process)
    {
        // The events have said so.
    }

    /// <summary>Hands on what is held back.</summary>
    public void Flush()
    {
        _stream.Write(_buffer.WrittenSpan);
        _buffer.ResetWrittenCount();
    }

    public void Dispose() => _json.Dispose();

    private static string NameOf(ReplayEventKind kind) => kind switch
    {
        ReplayEventKind.Setup => "setup",
        ReplayEventKind.Allocate => "allocate",
        ReplayEventKind.Free => "free",
        ReplayEventKind.Bind => "bind",
        ReplayEventKind.Unbind => "unbind",
        ReplayEventKind.Exit => "exit",
        ReplayEventKind.Refuse => "refuse",
        ReplayEventKind.Skip => "skip",
        _ => "end",
    };

    private static string NameOf(ReplayOperation operation) => operation switch
    {
        ReplayOperation.Setup => "setup",
        ReplayOperation.Bind => "bind",
        ReplayOperation.Unbind => "unbind",
        ReplayOperation.Exit => "exit",
        _ => "end",
    };

    private void WriteText(string name, string? value)
    {
        if (value is not null)
        {
            _json.WriteString(name, value);
        }
    }

    // Seconds with six digits as in the trace, nine where the trace has more.
    private void WriteSeconds(long nanoseconds)
    {
        Span<byte> text = stackalloc byte[32];
        long seconds = nanoseconds / 1_000_000_000;
        long rest = nanoseconds % 1_000_000_000;
        bool isMicro = rest % 1000 == 0;
        System.Globalization.CultureInfo culture = System.Globalization.CultureInfo.InvariantCulture;
        seconds.TryFormat(text, out int length, default, culture);
        text[length++] = (byte)'.';
        (isMicro ? rest / 1000 : rest).TryFormat(text[length..], out int digits, isMicro ? "D6" : "D9", culture);
        _json.WriteRawValue(text[..(length + digits)], skipInputValidation: true);
    }

    // Only drivers for which something changed: one that is not named sent nothing and holds what it held.
    private void WriteDrivers(ReplayEvent happened)
    {
        if (happened.Commands is not { } commands || happened.TableBytes is not { } bytes)
        {
            return;
        }

        if (commands.AsSpan().ContainsAnyExcept(0))
        {
            _json.WriteStartObject("commands");
            for (int i = 0; i < _drivers.Count; i++)
            {
                if (commands[i] != 0)
                {
                    _json.WriteNumber(_drivers[i], commands[i]);
                }
            }

            _json.WriteEndObject();
        }

        bool all = happened.Kind is ReplayEventKind.Setup or ReplayEventKind.End;
        if (all || !bytes.AsSpan().SequenceEqual(_tableBytes))
        {
            _json.WriteStartObject("tableBytes");
            for (int i = 0; i < _drivers.Count; i++)
            {
                if (all || bytes[i] != _tableBytes[i])
                {
                    _json.WriteNumber(_drivers[i], bytes[i]);
                    _tableBytes[i] = bytes[i];
                }
            }

            _json.WriteEndObject();
        }
    }
}
