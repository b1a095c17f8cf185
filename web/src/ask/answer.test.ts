import { effectScope, nextTick, shallowRef } from 'vue'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { useAnswer, type Answer, type Request } from './answer'
import { ApiError } from './api'

/** A server one can make wait: each question lies here until the test answers it. */
class Waiting {
  questions: { identity: string; signal: AbortSignal; answer: (text: string) => Promise<void>; fail: (error: Error) => Promise<void> }[] = []

  request(identity: string, time: string): Request<string> {
    const send = (signal: AbortSignal) =>
      new Promise<string>((resolve, reject) => {
        const later = () => new Promise<void>((done) => setTimeout(done))
        this.questions.push({
          identity,
          signal,
          answer: (text) => (resolve(text), later()),
          fail: (error) => (reject(error), later()),
        })
      })
    return { identity, time, send }
  }
}

const scope = effectScope()
let server: Waiting
let asked = shallowRef<Request<string> | null>(null)
let answer: Answer<string>

beforeEach(() => {
  server = new Waiting()
  asked = shallowRef(server.request('a', '1'))
  scope.run(() => (answer = useAnswer(() => asked.value)))
})
afterEach(() => (asked.value = null))

async function ask(identity: string, time: string) {
  asked.value = server.request(identity, time)
  await nextTick()
}

describe('an answer', () => {
  it('stays, dimmed, while another question is answered', async () => {
    await server.questions[0]!.answer('A')
    await ask('b', '1')
    expect([answer.data.value, answer.stale.value, answer.loading.value]).toEqual(['A', true, true])
    await server.questions[1]!.answer('B')
    expect([answer.data.value, answer.stale.value, answer.loading.value]).toEqual(['B', false, false])
  })

  it('is not dimmed when only time went on', async () => {
    await server.questions[0]!.answer('A')
    await ask('a', '2')
    expect([answer.data.value, answer.stale.value, answer.loading.value]).toEqual(['A', false, true])
  })

  it('to an old question is cancelled, and ignored should it come', async () => {
    await ask('b', '1')
    expect(server.questions[0]!.signal.aborted).toBe(true)
    await server.questions[1]!.answer('B')
    await server.questions[0]!.answer('A')
    expect(answer.data.value).toBe('B')
  })

  it('that is slow is waited for, not asked again', async () => {
    await ask('a', '2')
    await ask('a', '3')
    expect(server.questions.length).toBe(1)
    await server.questions[0]!.answer('A')
    await ask('a', '4')
    expect(server.questions.length).toBe(2)
  })

  it('survives an error, which the next answer clears', async () => {
    await server.questions[0]!.answer('A')
    await ask('a', '2')
    await server.questions[1]!.fail(new ApiError(500, 'Internal Server Error', 'disk on fire'))
    expect([answer.data.value, answer.error.value?.message]).toEqual(['A', 'disk on fire'])
    await ask('a', '3')
    await server.questions[2]!.answer('B')
    expect([answer.data.value, answer.error.value]).toEqual(['B', null])
  })
})
